type Field = 'magic' | 'sizeOfSkipped' | 'descriptor' | 'block';

/** Bytes of each field (RFC 8878 §3.1). */
const SIZES: Readonly<Record<Field, number>> = { magic: 4, sizeOfSkipped: 4, descriptor: 1, block: 3 };
const FRAME_MAGIC = 0xfd2fb528;
/** Without the last four bits, which can be anything. */
const SKIPPED_MAGIC = 0x184d2a5;
const CHECKSUM_SIZE = 4;
const RUN_LENGTH_BLOCK = 1;
/** By the flags of a descriptor. */
const DICTIONARY_SIZES = [0, 1, 2, 4] as const;
const CONTENT_SIZES = [0, 2, 4, 8] as const;

/**
 * Follows frames of zstd without decompressing them, to know where they end: the streams of some releases of Node
 * accept a frame that is cut off.
 */
export class ZstdWalk {
  readonly #bytes = Buffer.alloc(4);
  #have = 0;
  #field: Field = 'magic';
  /** Bytes before the next field. */
  #skip = 0;
  #checksumSize = 0;

  /** Whether no frame has begun that has not ended. */
  get isBetweenFrames(): boolean {
    return this.#field === 'magic' && this.#have === 0 && this.#skip === 0;
  }

  /** Goes past the next bytes. What is no frame has no end. */
  pass(piece: Uint8Array): void {
    for (let at = 0; at < piece.length; ) {
      const skipped = Math.min(this.#skip, piece.length - at);
      this.#skip -= skipped;
      at += skipped;
      const byte = piece[at++];
      if (byte === undefined) return;
      this.#bytes.writeUInt8(byte, this.#have++);
      if (this.#have === SIZES[this.#field]) this.#goOn();
    }
  }

  #goOn(): void {
    const value = this.#bytes.readUIntLE(0, this.#have);
    this.#have = 0;
    switch (this.#field) {
      case 'magic':
        if (value === FRAME_MAGIC) this.#field = 'descriptor';
        else if (value >>> 4 === SKIPPED_MAGIC) this.#field = 'sizeOfSkipped';
        else this.#skip = Number.POSITIVE_INFINITY;
        return;
      case 'sizeOfSkipped':
        this.#skip = value;
        this.#field = 'magic';
        return;
      case 'descriptor':
        this.#skip = restOfHeader(value);
        this.#checksumSize = (value & 4) === 0 ? 0 : CHECKSUM_SIZE;
        this.#field = 'block';
        return;
      case 'block': {
        const isLast = (value & 1) === 1;
        const isRun = ((value >> 1) & 3) === RUN_LENGTH_BLOCK;
        this.#skip = (isRun ? 1 : value >> 3) + (isLast ? this.#checksumSize : 0);
        if (isLast) this.#field = 'magic';
      }
    }
  }
}

/** Returns how many bytes of a frame's header follow its descriptor: window, dictionary, size of the contents. */
function restOfHeader(descriptor: number): number {
  const isOneSegment = (descriptor & 0x20) !== 0;
  const dictionary = DICTIONARY_SIZES[descriptor & 3] ?? 0;
  const contents = CONTENT_SIZES[descriptor >> 6] ?? 0;
  return (isOneSegment ? 0 : 1) + dictionary + (isOneSegment && contents === 0 ? 1 : contents);
}
