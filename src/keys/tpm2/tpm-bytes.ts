import { MalformedError } from '../../base/bytes.ts';

/** Bytes as the TPM 2.0 Library Specification, part 2, has them: numbers are big-endian, TPM2B are preceded by u16. */

export function u8(value: number): Buffer {
  return Buffer.of(value);
}

export function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** Makes a TPM2B of what is not secret. */
export function sized(...parts: readonly Uint8Array[]): Buffer {
  const bytes = Buffer.concat(parts);
  return Buffer.concat([u16(bytes.length), bytes]);
}

/** Reads such bytes in sequence, and checks each read against the end. */
export class TpmReader {
  readonly #bytes: Buffer;
  #offset = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get remaining(): number {
    return this.#bytes.length - this.#offset;
  }

  u8(): number {
    return this.take(1).readUInt8();
  }

  u16(): number {
    return this.take(2).readUInt16BE();
  }

  u32(): number {
    return this.take(4).readUInt32BE();
  }

  /** Returns a view of the next `length` bytes, not a copy. @throws MalformedError when there are fewer */
  take(length: number): Buffer {
    if (length > this.remaining) throw new MalformedError(`ends early: ${length} bytes wanted, ${this.remaining} left`);
    const start = this.#offset;
    this.#offset += length;
    return this.#bytes.subarray(start, start + length);
  }

  /** Returns a view of what a TPM2B holds. @throws MalformedError */
  sized(): Buffer {
    return this.take(this.u16());
  }

  /** @throws MalformedError unless all was read */
  end(): void {
    if (this.remaining > 0) throw new MalformedError(`${this.remaining} bytes too many`);
  }
}
