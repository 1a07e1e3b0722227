import { firstNotBelow } from '../base/search.ts';
import type { Allowance } from './allowance.ts';

/** Bytes of plain data in a record at most: a page of memory. */
export const RECORD_DATA_SIZE = 4096;

/** How a piece of a file is stored. The numbers are only in memory. */
export const PIECE = {
  /** As it is. */
  clear: 0,
  /** Data, tag, nonce. */
  blob: 1,
  /** Tag, nonce, the number of bytes in 8, data. */
  ghostRecord: 2,
  /** Tag, nonce, 4 bytes of no meaning, the number of bytes in 8, data with room for 4096 bytes. */
  paddedRecord: 3,
} as const;
export type PieceKind = (typeof PIECE)[keyof typeof PIECE];

/** The pieces of a file that is decrypted as it is read, in the order of its plain bytes. Threads share it. */
export interface PieceTable {
  /** By piece, the offset of its first plain byte; the size of the plain file at the end. */
  readonly starts: Float64Array;
  /** By piece, where it is stored. */
  readonly stored: Float64Array;
  readonly kinds: Uint8Array;
}

/** Collects pieces, of which none is empty. */
export class PieceList {
  readonly #starts: number[] = [0];
  readonly #stored: number[] = [];
  readonly #kinds: PieceKind[] = [];
  readonly #allowance: Allowance;
  #size = 0;

  constructor(allowance: Allowance) {
    this.#allowance = allowance;
  }

  /** @throws MalformedError when there are too many */
  add(kind: PieceKind, stored: number, length: number): void {
    if (length === 0) return;
    this.#allowance.addPiece();
    this.#size += length;
    this.#starts.push(this.#size);
    this.#stored.push(stored);
    this.#kinds.push(kind);
  }

  finish(): PieceTable {
    const count = this.#kinds.length;
    const table = {
      starts: new Float64Array(new SharedArrayBuffer(8 * (count + 1))),
      stored: new Float64Array(new SharedArrayBuffer(8 * count)),
      kinds: new Uint8Array(new SharedArrayBuffer(count)),
    };
    table.starts.set(this.#starts);
    table.stored.set(this.#stored);
    table.kinds.set(this.#kinds);
    return table;
  }
}

/** Returns the bytes of the plain file. */
export function plainSize({ starts }: PieceTable): number {
  return starts[starts.length - 1] ?? 0;
}

/** Returns the index of the piece that has a plain byte. */
export function pieceWith({ starts }: PieceTable, offset: number): number {
  return firstNotBelow(starts, offset, isAtOrBelow) - 1;
}

function isAtOrBelow(start: number, offset: number): boolean {
  return start <= offset;
}
