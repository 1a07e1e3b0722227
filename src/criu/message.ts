import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import { MalformedError } from '../base/bytes.ts';

/** Fields with higher numbers are passed over: no message has one that matters. */
const MAX_FIELD = 31;

/**
 * A message of Protocol Buffers, of which only a few fields matter. Input may be hostile: of a field that is repeated
 * only the last value is kept, so that a message of millions of fields takes no memory.
 */
export class Message {
  readonly #numbers = new Map<number, bigint>();
  readonly #parts = new Map<number, Uint8Array>();

  /** @param bytes parts of them are returned, not copies @throws MalformedError */
  constructor(bytes: Uint8Array) {
    try {
      const reader = new BinaryReader(bytes);
      while (reader.pos < reader.len) this.#take(reader);
    } catch (cause) {
      if (cause instanceof MalformedError) throw cause;
      // The library throws Error and RangeError, whose texts have nothing of the input but numbers.
      throw new MalformedError(
        `no message of Protocol Buffers: ${cause instanceof Error ? cause.message : 'unreadable'}`,
      );
    }
  }

  /** Returns the last value of a field; undefined when it is absent. */
  number(field: number): bigint | undefined {
    return this.#numbers.get(field);
  }

  /** Returns a field that tells how much of something there is. @throws MalformedError when absent or above 2^53 */
  count(field: number): number {
    const value = this.#numbers.get(field);
    if (value === undefined) throw new MalformedError(`field ${field} is missing`);
    if (value > MAX_COUNT) throw new MalformedError(`field ${field} is out of range`);
    return Number(value);
  }

  /** Returns the last value of a field that holds bytes or a message; undefined when it is absent. */
  part(field: number): Uint8Array | undefined {
    return this.#parts.get(field);
  }

  #take(reader: BinaryReader): void {
    const [field, type] = reader.tag();
    if (type === WireType.StartGroup || type === WireType.EndGroup)
      throw new MalformedError('groups are not used by CRIU');
    const matters = field <= MAX_FIELD;
    if (matters && type === WireType.Varint) this.#numbers.set(field, BigInt(reader.uint64()));
    else if (matters && type === WireType.LengthDelimited) this.#parts.set(field, reader.bytes());
    else reader.skip(type);
  }
}

const MAX_COUNT = BigInt(Number.MAX_SAFE_INTEGER);
