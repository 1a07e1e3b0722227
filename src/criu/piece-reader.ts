import { MalformedError } from '../base/bytes.ts';
import { Region } from '../base/linux/native.ts';
import { wipe } from '../base/wipe.ts';
import { type BlobKey, blobAt, type PiecePlace, TAG_SIZE, TRAILER_SIZE } from './blob-key.ts';
import { GHOST_RECORD_HEAD, MAX_GHOST_ENTRY } from './ghost-file.ts';
import { PADDED_RECORD_HEAD, PADDED_RECORD_LENGTH_AT, recordLength } from './padded-records.ts';
import { PIECE, type PieceKind, type PieceTable, pieceWith } from './piece-table.ts';
import { readStored, type StoredFile } from './stored-file.ts';

/** Reads files of pieces, and opens only those that are asked for. One thread must have it for itself. */
export class PieceReader {
  readonly #key: BlobKey;
  readonly #stored = new Region(MAX_GHOST_ENTRY + TRAILER_SIZE);
  /** A piece of which only a part was asked for. */
  readonly #bounce = new Region(MAX_GHOST_ENTRY);

  constructor(key: BlobKey) {
    this.#key = key;
  }

  /**
   * Reads plain bytes `offset` to `end`, which the file must have.
   * @throws MalformedError when a tag does not match, or the file changed; nothing of `out` may then be used
   */
  read(file: StoredFile, table: PieceTable, offset: number, end: number, out: Region, outOffset: number): void {
    for (let position = offset, piece = pieceWith(table, offset); position < end; piece++) {
      const start = table.starts[piece] ?? 0;
      const next = table.starts[piece + 1] ?? 0;
      const stored = table.stored[piece] ?? 0;
      const stop = Math.min(end, next);
      const to = outOffset + position - offset;
      const kind = table.kinds[piece];
      if (kind === PIECE.clear) {
        readStored(file, out, to, stop - position, stored + position - start);
      } else if (position === start && stop === next) {
        this.#open(file, kind as PieceKind, stored, next - start, out, to);
      } else {
        this.#open(file, kind as PieceKind, stored, next - start, this.#bounce, 0);
        this.#bounce.bytes.copy(out.bytes, to, position - start, stop - start);
      }
      position = stop;
    }
  }

  wipe(): void {
    wipe(this.#bounce.bytes);
  }

  #open(file: StoredFile, kind: PieceKind, position: number, length: number, to: Region, toOffset: number): void {
    const place = placeIn(kind, length);
    const size = kind === PIECE.blob ? length + TRAILER_SIZE : place.data + length;
    readStored(file, this.#stored, 0, size, position);
    const lengthAt = kind === PIECE.ghostRecord ? TRAILER_SIZE : PADDED_RECORD_LENGTH_AT;
    if (kind !== PIECE.blob && recordLength(this.#stored, lengthAt) !== length)
      throw new MalformedError(`the record at ${position} has not ${length} bytes`);
    if (!this.#key.open(this.#stored, place, to, toOffset))
      throw new MalformedError(`the tag at ${position} does not match`);
  }
}

/** Returns where the parts of a piece are, from its first byte on. */
function placeIn(kind: PieceKind, length: number): PiecePlace {
  if (kind === PIECE.blob) return blobAt(0, length);
  const data = kind === PIECE.ghostRecord ? GHOST_RECORD_HEAD : PADDED_RECORD_HEAD;
  return { data, length, tag: 0, nonce: TAG_SIZE };
}
