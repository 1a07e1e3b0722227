import { type Geometry, recordFields, SECTOR_TAG_SIZE } from './geometry.ts';

/** A chunk record in a tag page or in a journal (format.md §6). Offsets are of the record unless named otherwise. */

export const NONCE_SIZE = 12;

/** The byte of a nonce, and its bits, that hold the number of a sector in the nonce of that sector. */
const SECTOR_BYTE = NONCE_SIZE - 1;
const SECTOR_BITS = 0x0f;

/** Reads the hole map: bit s set means that sector s of the chunk is a hole. */
export function readHoles(view: DataView, offset: number): number {
  return view.getUint16(offset + recordFields.holes, true);
}

/** Reads how many sectors a compressed chunk takes; 0 for any other chunk. */
export function readCompressedSectors(view: DataView, offset: number): number {
  return view.getUint16(offset + recordFields.sectors, true);
}

/**
 * Writes all of a record but its nonce and the tags.
 * @param compressedSectors that the chunk takes if it is compressed, otherwise 0
 */
export function writeRecordHead(
  view: DataView,
  offset: number,
  holes: number,
  compressedSectors: number,
  geometry: Geometry,
): void {
  view.setUint16(offset + recordFields.holes, holes, true);
  view.setUint16(offset + recordFields.sectors, compressedSectors, true);
  for (let at = tagOffset(geometry.sectorsPerChunk); at < geometry.recordSize; at += 4) {
    view.setUint32(offset + at, 0, true);
  }
}

/** Returns the offset of the tag of a sector in its record. */
export function tagOffset(sector: number): number {
  return recordFields.tags + sector * SECTOR_TAG_SIZE;
}

/** Returns whether the number of a sector takes the place of bits of its record's nonce. */
function hasSectorBits({ sectorNonceSize }: Geometry): boolean {
  return sectorNonceSize === NONCE_SIZE;
}

/** Zeros the bits of a random nonce that the number of a sector takes the place of, if it does. */
export function clearSectorBits(view: DataView, nonceOffset: number, geometry: Geometry): void {
  if (!hasSectorBits(geometry)) return;
  view.setUint8(nonceOffset + SECTOR_BYTE, view.getUint8(nonceOffset + SECTOR_BYTE) & ~SECTOR_BITS);
}

/** Copies the nonce of a record, word by word: this runs for every read, and a subarray would be an allocation. */
export function copyNonce(from: DataView, offset: number, to: DataView): void {
  for (let i = 0; i < NONCE_SIZE; i += 4) to.setUint32(i, from.getUint32(offset + recordFields.nonce + i, true), true);
}

/** Makes the copy of a record's nonce at the start of a view the nonce of a sector. */
export function setSectorBits(view: DataView, sector: number): void {
  view.setUint8(SECTOR_BYTE, (view.getUint8(SECTOR_BYTE) & ~SECTOR_BITS) | sector);
}

/**
 * Returns whether the record is one that a writer makes: without holes past the chunk's last sector, bits of a sector
 * in its nonce, and anything after its tags; compressed only where the image may have that, and it saves a sector.
 */
export function isRecordWellFormed(view: DataView, offset: number, geometry: Geometry): boolean {
  const holes = readHoles(view, offset);
  if ((holes & ~geometry.holeMask) !== 0) return false;
  const compressed = readCompressedSectors(view, offset);
  if (compressed !== 0 && (geometry.compression === undefined || compressed >= geometry.dataSectors(holes)))
    return false;
  if (hasSectorBits(geometry) && (view.getUint8(offset + recordFields.nonce + SECTOR_BYTE) & SECTOR_BITS) !== 0) {
    return false;
  }
  for (let at = tagOffset(geometry.sectorsPerChunk); at < geometry.recordSize; at += 4) {
    if (view.getUint32(offset + at, true) !== 0) return false;
  }
  return true;
}

/** Returns a map of the sectors of a chunk that store nothing: its holes or, if it is compressed, the last ones. */
export function emptySectors(holes: number, compressedSectors: number, { holeMask }: Geometry): number {
  return compressedSectors === 0 ? holes : holeMask & ~(2 ** compressedSectors - 1);
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
