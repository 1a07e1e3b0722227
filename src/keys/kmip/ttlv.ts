import { MalformedError } from '../../base/bytes.ts';
import { offHeap } from '../../crypto/off-heap.ts';

/** The value of each type of item. */
export interface TtlvValues {
  structure: readonly Ttlv[];
  /** A signed number of 32 bits. */
  integer: number;
  /** A signed number of 64 bits. */
  long: bigint;
  /** A signed number of a multiple of 8 bytes, big-endian. */
  'big-integer': Uint8Array;
  enumeration: number;
  boolean: boolean;
  text: string;
  bytes: Uint8Array;
  /** Seconds since 1970. */
  time: bigint;
  /** A number of seconds. */
  interval: number;
  /** Microseconds since 1970. */
  'fine-time': bigint;
}

type TypeName = keyof TtlvValues;

/**
 * One item of KMIP's encoding "tag, type, length, value" (KMIP 1.4 §9.1, the same in all versions). A tag has 3 bytes,
 * a type 1 byte, a length 4 bytes, big-endian; the value is padded with zeros to a multiple of 8 bytes.
 */
export type Ttlv = {
  [Type in TypeName]: { readonly tag: number; readonly type: Type; readonly value: TtlvValues[Type] };
}[TypeName];

/** Each type with its number. */
const TYPES: readonly (readonly [type: TypeName, number: number])[] = [
  ['structure', 1],
  ['integer', 2],
  ['long', 3],
  ['big-integer', 4],
  ['enumeration', 5],
  ['boolean', 6],
  ['text', 7],
  ['bytes', 8],
  ['time', 9],
  ['interval', 10],
  ['fine-time', 11],
];
const namesByNumber: ReadonlyMap<number, TypeName> = new Map(TYPES.map(([name, number]) => [number, name]));
const numbersByName: ReadonlyMap<TypeName, number> = new Map(TYPES);

/** Bytes of tag, type and length. */
export const ITEM_HEADER_SIZE = 8;
const ALIGNMENT = 8;
/** Structures in structures at most: messages of KMIP have fewer than ten. */
const MAX_DEPTH = 16;
/** Items of a message at most. */
const MAX_ITEMS = 4096;

/**
 * Encodes an item, in memory outside the heap that the caller wipes when the item has a secret.
 * @throws RangeError for a number that its type does not hold
 */
export function encodeTtlv(item: Ttlv): Buffer {
  const message = offHeap(sizeOf(item));
  write(item, message, 0);
  return message;
}

/**
 * Decodes bytes that are one item and nothing else. Values of bytes are views of `message`, not copies; text is copied.
 * Only the canonical encoding is accepted, so that encoding gives the same bytes again.
 * @throws MalformedError
 */
export function decodeTtlv(message: Uint8Array): Ttlv {
  const reader = new Reader(message);
  const item = reader.item(0, message.length, 0);
  if (reader.end !== message.length) throw new MalformedError('more follows the item');
  return item;
}

function padded(length: number): number {
  return Math.ceil(length / ALIGNMENT) * ALIGNMENT;
}

function sizeOf(item: Ttlv): number {
  return ITEM_HEADER_SIZE + padded(lengthOf(item));
}

function lengthOf(item: Ttlv): number {
  switch (item.type) {
    case 'structure':
      return item.value.reduce((sum, each) => sum + sizeOf(each), 0);
    case 'integer':
    case 'enumeration':
    case 'interval':
      return 4;
    case 'long':
    case 'boolean':
    case 'time':
    case 'fine-time':
      return 8;
    case 'text':
      return Buffer.byteLength(item.value);
    case 'big-integer':
    case 'bytes':
      return item.value.length;
  }
}

/** Writes an item. Returns where the next one begins. */
function write(item: Ttlv, into: Buffer, offset: number): number {
  const length = lengthOf(item);
  into.writeUIntBE(item.tag, offset, 3);
  into.writeUInt8(numbersByName.get(item.type) ?? 0, offset + 3);
  into.writeUInt32BE(length, offset + 4);
  const start = offset + ITEM_HEADER_SIZE;
  switch (item.type) {
    case 'structure':
      item.value.reduce((place, each) => write(each, into, place), start);
      break;
    case 'integer':
      into.writeInt32BE(item.value, start);
      break;
    case 'enumeration':
    case 'interval':
      into.writeUInt32BE(item.value, start);
      break;
    case 'long':
    case 'time':
    case 'fine-time':
      into.writeBigInt64BE(item.value, start);
      break;
    case 'boolean':
      into.writeBigInt64BE(item.value ? 1n : 0n, start);
      break;
    case 'text':
      into.write(item.value, start, 'utf8');
      break;
    case 'big-integer':
    case 'bytes':
      into.set(item.value, start);
      break;
  }
  return start + padded(length);
}

class Reader {
  /** Where the item ends that was read last. */
  end = 0;
  readonly #bytes: Buffer;
  readonly #text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  #count = 0;

  constructor(message: Uint8Array) {
    this.#bytes = Buffer.from(message.buffer, message.byteOffset, message.length);
  }

  /** @param limit where the structure ends that the item is in */
  item(offset: number, limit: number, depth: number): Ttlv {
    if (++this.#count > MAX_ITEMS) throw new MalformedError(`more than ${MAX_ITEMS} items`);
    if (limit - offset < ITEM_HEADER_SIZE) throw new MalformedError('an item is cut');
    const tag = this.#bytes.readUIntBE(offset, 3);
    const type = namesByNumber.get(this.#bytes.readUInt8(offset + 3));
    if (type === undefined) throw new MalformedError('an item of an unknown type');
    const length = this.#bytes.readUInt32BE(offset + 4);
    const start = offset + ITEM_HEADER_SIZE;
    if (length > limit - start || padded(length) > limit - start)
      throw new MalformedError(`an item of ${length} bytes where ${limit - start} follow`);
    const padding = this.#bytes.subarray(start + length, start + padded(length));
    if (padding.some((byte) => byte !== 0)) throw new MalformedError('an item is padded with other bytes than zeros');
    const item = this.#valued(tag, type, start, length, depth);
    this.end = start + padded(length);
    return item;
  }

  #valued(tag: number, type: TypeName, start: number, length: number, depth: number): Ttlv {
    const has = (size: number): void => {
      if (length !== size) throw new MalformedError(`a value of type ${type} has ${length} bytes`);
    };
    switch (type) {
      case 'structure':
        return { tag, type, value: this.#items(start, start + length, depth + 1) };
      case 'integer':
        has(4);
        return { tag, type, value: this.#bytes.readInt32BE(start) };
      case 'enumeration':
      case 'interval':
        has(4);
        return { tag, type, value: this.#bytes.readUInt32BE(start) };
      case 'long':
      case 'time':
      case 'fine-time':
        has(8);
        return { tag, type, value: this.#bytes.readBigInt64BE(start) };
      case 'boolean':
        has(8);
        return { tag, type, value: this.#boolean(start) };
      case 'text':
        return { tag, type, value: this.#utf8(start, length) };
      case 'big-integer':
        if (length % ALIGNMENT !== 0) throw new MalformedError(`a value of type ${type} has ${length} bytes`);
        return { tag, type, value: this.#bytes.subarray(start, start + length) };
      case 'bytes':
        return { tag, type, value: this.#bytes.subarray(start, start + length) };
    }
  }

  #items(start: number, limit: number, depth: number): readonly Ttlv[] {
    if (depth > MAX_DEPTH) throw new MalformedError(`more than ${MAX_DEPTH} structures in each other`);
    const items: Ttlv[] = [];
    for (let offset = start; offset < limit; offset = this.end) items.push(this.item(offset, limit, depth));
    return items;
  }

  #boolean(start: number): boolean {
    const value = this.#bytes.readBigInt64BE(start);
    if (value !== 0n && value !== 1n) throw new MalformedError('a value of type boolean is neither 0 nor 1');
    return value === 1n;
  }

  #utf8(start: number, length: number): string {
    try {
      return this.#text.decode(this.#bytes.subarray(start, start + length));
    } catch {
      throw new MalformedError('a text is not UTF-8');
    }
  }
}
