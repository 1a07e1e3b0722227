import { CkptfsError } from '../base/errors.ts';
import type { Region } from '../base/linux/native.ts';
import { checkSpan } from '../base/linux/span.ts';
import { wipe } from '../base/wipe.ts';
import { type Geometry, SECTOR_SIZE } from '../format/geometry.ts';
import {
  emptySectors,
  isHole,
  isRecordWellFormed,
  readCompressedSectors,
  readHoles,
  tagOffset,
  writeRecordHead,
} from '../format/record.ts';
import type { ChunkCipher } from './chunk-cipher.ts';
import type { SectorCipher } from './sector-cipher.ts';
import { SectorHead } from './sector-head.ts';

/** Goes through the sectors of chunks and their tags, and leaves each to a {@link SectorCipher}. */
export class SealedSectors implements ChunkCipher {
  readonly #cipher: SectorCipher;
  readonly #geometry: Geometry;
  readonly #head: SectorHead;

  /** @param objectId 16 bytes */
  constructor(cipher: SectorCipher, objectId: Uint8Array, geometry: Geometry) {
    this.#cipher = cipher;
    this.#geometry = geometry;
    this.#head = new SectorHead(objectId, geometry.sectorNonceSize);
  }

  seal(
    index: number,
    holes: number,
    compressedSectors: number,
    plain: Region,
    plainOffset: number,
    stored: Region,
    storedOffset: number,
    record: Region,
    recordOffset: number,
  ): void {
    const { chunkSize, holeMask, recordSize, sectorsPerChunk } = this.#geometry;
    if ((holes & ~holeMask) !== 0) {
      throw new CkptfsError('internal', `hole map ${holes} names sectors past the end of the chunk`);
    }
    checkSpan(plain, plainOffset, chunkSize);
    checkSpan(stored, storedOffset, chunkSize);
    checkSpan(record, recordOffset, recordSize);
    writeRecordHead(record.view, recordOffset, holes, compressedSectors, this.#geometry);
    const empty = emptySectors(holes, compressedSectors, this.#geometry);
    this.#head.setChunk(index, record, recordOffset);
    for (let sector = 0; sector < sectorsPerChunk; sector++) {
      const from = plainOffset + sector * SECTOR_SIZE;
      const to = storedOffset + sector * SECTOR_SIZE;
      const length = isHole(empty, sector) ? 0 : SECTOR_SIZE;
      this.#head.setSector(sector);
      this.#cipher.seal(this.#head, plain, from, stored, to, length, record, recordOffset + tagOffset(sector));
      if (length === 0) zero(stored, to);
    }
  }

  open(
    index: number,
    firstSector: number,
    count: number,
    stored: Region,
    storedOffset: number,
    record: Region,
    recordOffset: number,
    to: Region,
    toOffset: number,
  ): boolean {
    const { recordSize, sectorsPerChunk } = this.#geometry;
    if (!(firstSector >= 0 && count >= 0 && firstSector + count <= sectorsPerChunk)) {
      throw new CkptfsError('internal', `${count} sectors from ${firstSector} on reach past the end of the chunk`);
    }
    checkSpan(stored, storedOffset, count * SECTOR_SIZE);
    checkSpan(to, toOffset, count * SECTOR_SIZE);
    checkSpan(record, recordOffset, recordSize);
    if (this.#openSectors(index, firstSector, count, stored, storedOffset, record, recordOffset, to, toOffset)) {
      return true;
    }
    wipe(to.bytes, toOffset, toOffset + count * SECTOR_SIZE);
    return false;
  }

  verify(index: number, stored: Region, storedOffset: number, record: Region, recordOffset: number): number {
    checkSpan(stored, storedOffset, this.#geometry.chunkSize);
    checkSpan(record, recordOffset, this.#geometry.recordSize);
    if (!isRecordWellFormed(record.view, recordOffset, this.#geometry)) return this.#geometry.holeMask;
    const empty = this.#emptySectors(record, recordOffset);
    let refused = 0;
    this.#head.setChunk(index, record, recordOffset);
    for (let sector = 0; sector < this.#geometry.sectorsPerChunk; sector++) {
      const from = storedOffset + sector * SECTOR_SIZE;
      const length = isHole(empty, sector) ? 0 : SECTOR_SIZE;
      this.#head.setSector(sector);
      const tag = recordOffset + tagOffset(sector);
      if (!this.#cipher.verify(this.#head, stored, from, length, record, tag)) refused |= 1 << sector;
    }
    return refused;
  }

  dispose(): void {
    this.#cipher.dispose();
  }

  #openSectors(
    index: number,
    firstSector: number,
    count: number,
    stored: Region,
    storedOffset: number,
    record: Region,
    recordOffset: number,
    to: Region,
    toOffset: number,
  ): boolean {
    if (!isRecordWellFormed(record.view, recordOffset, this.#geometry)) return false;
    const empty = this.#emptySectors(record, recordOffset);
    this.#head.setChunk(index, record, recordOffset);
    for (let i = 0; i < count; i++) {
      const sector = firstSector + i;
      const from = storedOffset + i * SECTOR_SIZE;
      const at = toOffset + i * SECTOR_SIZE;
      const length = isHole(empty, sector) ? 0 : SECTOR_SIZE;
      const tag = recordOffset + tagOffset(sector);
      this.#head.setSector(sector);
      if (!this.#cipher.open(this.#head, stored, from, to, at, length, record, tag)) return false;
      if (length === 0) zero(to, at);
    }
    return true;
  }

  #emptySectors({ view }: Region, offset: number): number {
    return emptySectors(readHoles(view, offset), readCompressedSectors(view, offset), this.#geometry);
  }
}

/** Zeros a sector that is a hole. */
function zero(region: Region, offset: number): void {
  region.bytes.fill(0, offset, offset + SECTOR_SIZE); // not secret: a hole
}
