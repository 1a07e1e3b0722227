import { MalformedError } from '../base/bytes.ts';
import { BLOCK_SIZE } from './blocks.ts';
import { FIELDS, numberOf } from './header-fields.ts';

/** A run of stored bytes of a file. Between runs are holes. */
export interface DataRange {
  readonly start: number;
  /** Bytes, at least 1. */
  readonly length: number;
}

/** What a file of an archive holds, and where. */
export interface SparseMap {
  /** Bytes, with holes. */
  readonly size: number;
  /** In ascending order, not overlapping; their bytes are stored one after the other. */
  readonly ranges: readonly DataRange[];
}

/** More runs of one file are refused: they are all in memory, and a file of 4 GiB with holes everywhere has as many. */
export const MAX_RANGES = 1 << 19;
const OFFSET_SIZE = 12;
const ENTRY_SIZE = 2 * OFFSET_SIZE;
/** Runs in a header of GNU tar, and in a block that continues its map. */
export const HEADER_RANGES = 4;
export const BLOCK_RANGES = 21;
const HEADER_ENTRIES = [386, HEADER_RANGES] as const;
/** Entries in a block that continues the map of a header of GNU tar, and where it says whether another one follows. */
const BLOCK_ENTRIES = [0, BLOCK_RANGES] as const;
const BLOCK_IS_EXTENDED = 504;

/** Returns the map of a file that is stored as it is. */
export function wholeFile(size: number): SparseMap {
  return { size, ranges: size === 0 ? [] : [{ start: 0, length: size }] };
}

/**
 * Makes a map of the pairs (offset, length) that an archive gives.
 * @param pairs an even number of numbers
 * @param stored how many bytes the archive has for it
 * @throws MalformedError when they overlap, are not in order, or are not of so many bytes
 */
export function checkedMap(pairs: readonly number[], size: number, stored: number): SparseMap {
  const ranges: DataRange[] = [];
  let end = 0;
  let total = 0;
  for (let at = 0; at < pairs.length; at += 2) {
    const start = pairs[at] ?? 0;
    const length = pairs[at + 1] ?? 0;
    if (!Number.isSafeInteger(start + length) || start < end || length < 0)
      throw new MalformedError('a sparse map out of order');
    end = start + length;
    total += length;
    if (length > 0) ranges.push({ start, length });
  }
  if (end > size) throw new MalformedError('a sparse map that goes beyond its file');
  if (total !== stored) throw new MalformedError(`a sparse map of ${total} bytes, of which ${stored} are there`);
  return { size, ranges };
}

/** Reads the pairs in a header of GNU tar. @throws MalformedError */
export function gnuHeaderPairs(header: Buffer): { readonly pairs: number[]; readonly isExtended: boolean } {
  return { pairs: gnuPairs(header, HEADER_ENTRIES), isExtended: header[FIELDS.gnuIsExtended[0]] !== 0 };
}

/** Reads the pairs in a block that continues the map. @throws MalformedError */
export function gnuBlockPairs(block: Buffer): { readonly pairs: number[]; readonly isExtended: boolean } {
  return { pairs: gnuPairs(block, BLOCK_ENTRIES), isExtended: block[BLOCK_IS_EXTENDED] !== 0 };
}

function gnuPairs(block: Buffer, [first, count]: readonly [number, number]): number[] {
  const pairs: number[] = [];
  for (let at = first; at < first + count * ENTRY_SIZE; at += ENTRY_SIZE) {
    // The map ends at an entry without a length.
    if (block[at + OFFSET_SIZE] === 0) break;
    pairs.push(numberOf(block.subarray(at, at + OFFSET_SIZE), 'place in a sparse map'));
    pairs.push(numberOf(block.subarray(at + OFFSET_SIZE, at + ENTRY_SIZE), 'length in a sparse map'));
  }
  return pairs;
}

/** Reads pairs as PAX records have them, `OFFSET,LENGTH,…`. @throws MalformedError */
export function paxPairs(text: string): number[] {
  return text === '' ? [] : text.split(',').map(decimal);
}

/** Reads one decimal number of a sparse map. @throws MalformedError */
export function decimal(text: string): number {
  if (!/^[0-9]{1,16}$/.test(text)) throw new MalformedError('a sparse map with something else than numbers');
  return Number(text);
}

/**
 * Returns the map of PAX format 1.0, which precedes the contents, padded to whole blocks. An empty run at the end of
 * the file is what GNU tar knows a hole there by.
 */
export function encodeMap({ size, ranges }: SparseMap): Buffer {
  const last = ranges.at(-1);
  const end = last === undefined ? 0 : last.start + last.length;
  const all = end === size ? ranges : [...ranges, { start: size, length: 0 }];
  const numbers = [all.length, ...all.flatMap(({ start, length }) => [start, length])];
  const text = Buffer.from(numbers.map((number) => `${number}\n`).join(''));
  return Buffer.concat([text], Math.ceil(text.length / BLOCK_SIZE) * BLOCK_SIZE);
}
