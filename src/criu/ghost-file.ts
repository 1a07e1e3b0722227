import { MalformedError } from '../base/bytes.ts';
import { Region } from '../base/linux/native.ts';
import { wipe } from '../base/wipe.ts';
import type { Allowance } from './allowance.ts';
import { type BlobKey, blobAt, TRAILER_SIZE } from './blob-key.ts';
import { magicSize } from './image-magic.ts';
import { Message } from './message.ts';
import { PIECE, PieceList, type PieceTable, RECORD_DATA_SIZE } from './piece-table.ts';
import { LENGTH_SIZE } from './sealed-walk.ts';
import { readStored, type StoredFile } from './stored-file.ts';

/** Bytes of a message in a ghost file, which has a few numbers: the limit keeps a made file from taking memory. */
export const MAX_GHOST_ENTRY = 65_536;

/** In front of the data of a record: tag, nonce, and the number of bytes in 8. */
export const GHOST_RECORD_HEAD = TRAILER_SIZE + 8;

const FIELD = { isChunked: 9, chunkLength: 1 } as const;

/**
 * Finds the pieces of a ghost file: the contents of a file that had no name any more. Decrypts its entries, and none of
 * its contents, which may be large.
 * @throws MalformedError, also when a tag does not match
 */
export function indexGhostFile(file: StoredFile, key: BlobKey, allowance: Allowance): PieceTable {
  const pieces = new PieceList(allowance);
  if (file.size === 0) return pieces.finish();
  const entries = new GhostEntries(file, key, pieces);
  try {
    const isChunked = (entries.next().number(FIELD.isChunked) ?? 0n) !== 0n;
    if (isChunked) {
      while (entries.position < file.size) entries.chunk();
    } else {
      addRecords(pieces, entries.position, file.size);
    }
  } finally {
    entries.wipe();
  }
  return pieces.finish();
}

/** Every record is full but the last, so that none has to be read to know where the others are. */
function addRecords(pieces: PieceList, start: number, end: number): void {
  for (let position = start; position < end; ) {
    const length = Math.min(RECORD_DATA_SIZE, end - position - GHOST_RECORD_HEAD);
    if (length <= 0) throw new MalformedError('it ends within a record');
    pieces.add(PIECE.ghostRecord, position, length);
    position += GHOST_RECORD_HEAD + length;
  }
}

/** Reads the entries of a ghost file, one after the other. */
class GhostEntries {
  position = 0;
  readonly #file: StoredFile;
  readonly #key: BlobKey;
  readonly #pieces: PieceList;
  readonly #stored = new Region(MAX_GHOST_ENTRY + TRAILER_SIZE);
  readonly #plain = new Region(MAX_GHOST_ENTRY);

  constructor(file: StoredFile, key: BlobKey, pieces: PieceList) {
    this.#file = file;
    this.#key = key;
    this.#pieces = pieces;
    const head = new Region(Math.min(2 * LENGTH_SIZE, file.size));
    readStored(file, head, 0, head.length, 0);
    this.#clear(magicSize(head));
  }

  next(): Message {
    readStored(this.#file, this.#stored, 0, LENGTH_SIZE, this.position);
    const length = this.#stored.view.getUint32(0, true);
    if (length > MAX_GHOST_ENTRY) throw new MalformedError(`an entry of ${length} bytes`);
    this.#clear(LENGTH_SIZE);
    if (length === 0) return new Message(new Uint8Array(0));
    readStored(this.#file, this.#stored, 0, length + TRAILER_SIZE, this.position);
    if (!this.#key.open(this.#stored, blobAt(0, length), this.#plain, 0))
      throw new MalformedError(`the tag of the entry at ${this.position} does not match`);
    this.#pieces.add(PIECE.blob, this.position, length);
    this.position += length + TRAILER_SIZE;
    return new Message(this.#plain.bytes.subarray(0, length));
  }

  /** Takes an entry that tells of contents which follow in clear. */
  chunk(): void {
    const length = this.next().count(FIELD.chunkLength);
    if (length > this.#file.size - this.position) throw new MalformedError('it ends within a chunk');
    this.#clear(length);
  }

  wipe(): void {
    wipe(this.#plain.bytes);
  }

  #clear(length: number): void {
    this.#pieces.add(PIECE.clear, this.position, length);
    this.position += length;
  }
}
