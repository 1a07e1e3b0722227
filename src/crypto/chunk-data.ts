import { CkptfsError } from '../base/errors.ts';
import { Region } from '../base/linux/native.ts';
import { type Geometry, SECTOR_SIZE } from '../format/geometry.ts';
import { isHole, nextData, nextHole } from '../format/record.ts';
import { checkLength } from './checks.ts';

const OBJECT_ID_SIZE = 16;

/** A chunk's additional data (format.md §7): object id, chunk index, holes, flags. */
export class AdditionalData {
  static readonly size = 28;
  readonly region = new Region(AdditionalData.size);

  constructor(objectId: Uint8Array) {
    checkLength('object id', objectId, OBJECT_ID_SIZE);
    this.region.bytes.set(objectId);
  }

  /** Sets the chunk's index and holes. The flags stay zero: this version of the format has none. */
  describe(index: number, holes: number): void {
    this.region.view.setUint32(16, index >>> 0, true);
    this.region.view.setUint32(20, Math.floor(index / 2 ** 32), true);
    this.region.view.setUint16(24, holes, true);
  }
}

export function checkHoles(holes: number, geometry: Geometry): void {
  if ((holes & ~geometry.holeMask) !== 0)
    throw new CkptfsError('internal', `hole map ${holes} names sectors past the end of the chunk`);
}

export function checkSectors(firstSector: number, count: number, geometry: Geometry): void {
  if (!(firstSector >= 0 && count >= 0 && firstSector + count <= geometry.sectorsPerChunk)) {
    throw new CkptfsError('internal', `${count} sectors from ${firstSector} on reach past the end of the chunk`);
  }
}

/**
 * Zeros the hole sectors among the `count` sectors from `firstSector` on; `offset` is the place of the first sector.
 */
export function zeroHoles(holes: number, firstSector: number, count: number, region: Region, offset: number): void {
  if (holes === 0) return;
  for (let i = 0; i < count; i++) {
    const start = offset + i * SECTOR_SIZE;
    if (isHole(holes, firstSector + i)) region.bytes.fill(0, start, start + SECTOR_SIZE); // not secret: a hole
  }
}

/**
 * Copies the data sectors among the `count` from `firstSector` on; the two offsets are the places of the first sector.
 */
export function copyData(
  holes: number,
  firstSector: number,
  count: number,
  from: Region,
  fromOffset: number,
  to: Region,
  toOffset: number,
): void {
  const last = firstSector + count;
  for (let start = nextData(holes, firstSector, last); start < last; ) {
    const end = nextHole(holes, start, last);
    const skipped = (start - firstSector) * SECTOR_SIZE;
    const source = fromOffset + skipped;
    from.bytes.copy(to.bytes, toOffset + skipped, source, source + (end - start) * SECTOR_SIZE);
    start = nextData(holes, end, last);
  }
}
