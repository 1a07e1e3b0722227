/** Bytes that a {@link ByteReader} was given are not well-formed. Callers turn it into an error of their own. */
export class MalformedError extends Error {
  override readonly name = 'MalformedError';
}

/** Reads little-endian values in sequence, and checks each read against the end. */
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

  /** Returns a view of the next `length` bytes, not a copy. @throws MalformedError when there are fewer */
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

  /** Reads a number below 2^53: a larger one would be rounded. @throws MalformedError */
  u64(): number {
    const offset = this.#advance(8);
    // A BigInt would be slower, and a manifest has five of these numbers for each file.
    const value = this.#view.getUint32(offset + 4, true) * 0x1_0000_0000 + this.#view.getUint32(offset, true);
    if (!Number.isSafeInteger(value)) throw new MalformedError(`number ${value} is above 2^53`);
    return value;
  }

  i64(): number {
    const offset = this.#advance(8);
    const value = this.#view.getInt32(offset + 4, true) * 0x1_0000_0000 + this.#view.getUint32(offset, true);
    if (!Number.isSafeInteger(value)) throw new MalformedError(`number ${value} is beyond 2^53`);
    return value;
  }

  /** Reads a count of items of at least `minBytes` each. @throws MalformedError when fewer bytes than that follow */
  count32(minBytes: number): number {
    const count = this.u32();
    if (count * minBytes > this.remaining) throw new MalformedError(`count ${count} does not fit in what follows`);
    return count;
  }

  #advance(length: number): number {
    if (length > this.remaining) throw new MalformedError(`ends early: ${length} bytes wanted, ${this.remaining} left`);
    const start = this.#offset;
    this.#offset += length;
    return start;
  }
}

/** Writes little-endian values in sequence into memory that grows. */
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

  /** @throws RangeError unless `value` is a non-negative safe integer */
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

  /** Returns all that was written. The writer must not be used afterwards. */
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
