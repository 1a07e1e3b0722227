import type { Geometry } from './geometry.ts';

/** A chunk record: 32 bytes in a tag page (format.md §6). */

export const NONCE_SIZE = 12;
export const TAG_SIZE = 16;

/** Offsets of the fields in a record. */
export const recordFields = { nonce: 0, tag: 12, holes: 28, flags: 30 } as const;

/** Reads the hole map: bit s set means that sector s of the chunk is a hole. @param offset of the record */
export function readHoles(view: DataView, offset: number): number {
  return view.getUint16(offset + recordFields.holes, true);
}

/** Writes the hole map, and flags of zero: this version of the format has none. */
export function writeHoles(view: DataView, offset: number, holes: number): void {
  view.setUint16(offset + recordFields.holes, holes, true);
  view.setUint16(offset + recordFields.flags, 0, true);
}

/** Returns whether the record has no unknown flag and no hole past the chunk's last sector. */
export function isRecordWellFormed(view: DataView, offset: number, geometry: Geometry): boolean {
  return isFlagless(view, offset) && (readHoles(view, offset) & ~geometry.holeMask) === 0;
}

/** Returns whether the record has no flag: this version of the format has none. */
export function isFlagless(view: DataView, offset: number): boolean {
  return view.getUint16(offset + recordFields.flags, true) === 0;
}

/** Returns whether sector `sector` of a chunk with this hole map is a hole. */
export function isHole(holes: number, sector: number): boolean {
  return ((holes >>> sector) & 1) === 1;
}

/** Returns the first sector from `from` on that holds data, or `end` when there is none before it. */
export function nextData(holes: number, from: number, end: number): number {
  let sector = from;
  while (sector < end && isHole(holes, sector)) sector++;
  return sector;
}

/** Returns the first sector from `from` on that is a hole, or `end` when there is none before it. */
export function nextHole(holes: number, from: number, end: number): number {
  let sector = from;
  while (sector < end && !isHole(holes, sector)) sector++;
  return sector;
}
