/** Thrown by {@link ByteReader}: the bytes do not say what they should. Callers turn it into their own error. */
export class MalformedError extends Error {
  override readonly name = 'MalformedError';
}

/** Reads little-endian values one after another; every read is checked against the end. */
export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #offset = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get remaining(): number {
    return this.#bytes.length - this.#offset;
  }

  /** A view of the next `length` bytes, not a copy. Throws MalformedError when there are fewer. */
  take(length: number): Uint8Array {
    const start = this.#advance(length);
    return this.#bytes.subarray(start, start + length);
  }

  u8(): number {
    return this.#view.getUint8(this.#advance(1));
  }

  u16(): number {
    return this.#view.getUint16(this.#advance(2), true);
  }

  u32(): number {
    return this.#view.getUint32(this.#advance(4), true);
  }

  /** Throws MalformedError at 2^53 and above: such a number would be rounded. */
  u64(): number {
    const at = this.#advance(8);
    // Not as a BigInt: a manifest has five of these for each file.
    const value = this.#view.getUint32(at + 4, true) * 0x1_0000_0000 + this.#view.getUint32(at, true);
    if (!Number.isSafeInteger(value)) throw new MalformedError(`number ${value} is above 2^53`);
    return value;
  }

  i64(): number {
    const at = this.#advance(8);
    const value = this.#view.getInt32(at + 4, true) * 0x1_0000_0000 + this.#view.getUint32(at, true);
    if (!Number.isSafeInteger(value)) throw new MalformedError(`number ${value} is beyond 2^53`);
    return value;
  }

  /** A count of things that take at least `leastSize` bytes each, refused when they cannot all be there. */
  count32(leastSize: number): number {
    const count = this.u32();
    if (count * leastSize > this.remaining) throw new MalformedError(`count ${count} does not fit in what follows`);
    return count;
  }

  #advance(length: number): number {
    if (length > this.remaining) throw new MalformedError(`ends early: ${length} bytes wanted, ${this.remaining} left`);
    const start = this.#offset;
    this.#offset += length;
    return start;
  }
}

/** Writes little-endian values one after another into memory that grows. */
export class ByteWriter {
  #bytes = Buffer.alloc(4096);
  #length = 0;

  bytes(value: Uint8Array): void {
    const start = this.#reserve(value.length);
    this.#bytes.set(value, start);
  }

  zeros(length: number): void {
    const start = this.#reserve(length);
    this.#bytes.fill(0, start, start + length); // not secret: a field
  }

  u8(value: number): void {
    const start = this.#reserve(1);
    this.#bytes.writeUInt8(value, start);
  }

  u16(value: number): void {
    const start = this.#reserve(2);
    this.#bytes.writeUInt16LE(value, start);
  }

  u32(value: number): void {
    const start = this.#reserve(4);
    this.#bytes.writeUInt32LE(value, start);
  }

  /** Throws RangeError for what is no safe non-negative integer. */
  u64(value: number): void {
    if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`not below 2^53: ${value}`);
    const start = this.#reserve(8);
    this.#bytes.writeBigUInt64LE(BigInt(value), start);
  }

  i64(value: number): void {
    if (!Number.isSafeInteger(value)) throw new RangeError(`not within 2^53: ${value}`);
    const start = this.#reserve(8);
    this.#bytes.writeBigInt64LE(BigInt(value), start);
  }

  get length(): number {
    return this.#length;
  }

  /** What was written. The writer must not be used afterwards. */
  finish(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  #reserve(length: number): number {
    const start = this.#length;
    const end = start + length;
    if (end > this.#bytes.length) {
      const grown = Buffer.alloc(Math.max(end, this.#bytes.length * 2));
      this.#bytes.copy(grown, 0, 0, start);
      this.#bytes = grown;
    }
    this.#length = end;
    return start;
  }
}
