import type { Region } from '../base/linux/native.ts';
import { type Geometry, SECTOR_SIZE } from '../format/geometry.ts';
import { isHole } from '../format/record.ts';

/** Bytes of the length before a stream (format.md §6). */
export const LENGTH_SIZE = 4;

/**
 * Copies the sectors of a chunk that are no holes together. Where they are together already, at its beginning, nothing
 * is copied.
 * @returns whether they were copied
 */
export function gatherContent(
  plain: Region,
  offset: number,
  holes: number,
  to: Region,
  { sectorsPerChunk, holeMask }: Geometry,
): boolean {
  // Holes at the end alone are the highest bits: with one less than the lowest of them, they fill the mask.
  if (holes === 0 || (holes | ((holes & -holes) - 1)) === holeMask) return false;
  for (let sector = 0, at = 0; sector < sectorsPerChunk; sector++) {
    if (isHole(holes, sector)) continue;
    const from = offset + sector * SECTOR_SIZE;
    plain.bytes.copy(to.bytes, at, from, from + SECTOR_SIZE);
    at += SECTOR_SIZE;
  }
  return true;
}

/** Moves the sectors of a chunk that are together at its beginning to their places, with zeros for the holes. */
export function spreadContent(to: Region, offset: number, holes: number, geometry: Geometry): void {
  let from = geometry.dataSectors(holes);
  for (let sector = geometry.sectorsPerChunk - 1; sector >= 0; sector--) {
    const at = offset + sector * SECTOR_SIZE;
    if (isHole(holes, sector))
      to.bytes.fill(0, at, at + SECTOR_SIZE); // not secret: a hole
    else if (--from !== sector) to.bytes.copyWithin(at, offset + from * SECTOR_SIZE, offset + (from + 1) * SECTOR_SIZE);
  }
}
