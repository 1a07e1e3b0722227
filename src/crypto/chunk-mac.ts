import { Region } from '../base/linux/native.ts';
import { wipe } from '../base/wipe.ts';
import { type Geometry, RECORD_SIZE, SECTOR_SIZE } from '../format/geometry.ts';
import {
  isHole,
  isRecordWellFormed,
  nextData,
  nextHole,
  readHoles,
  recordFields,
  writeHoles,
} from '../format/record.ts';
import { checkSpan } from './checks.ts';
import type { ChunkCipher } from './chunk-cipher.ts';
import { AdditionalData, checkHoles, checkSectors, copyData, zeroHoles } from './chunk-data.ts';
import type { GmacKey, XtsKey } from './primitives.ts';

/**
 * Authenticates each chunk by a GMAC over its stored data sectors. A stored sector is one XTS data unit or, without an
 * XTS key, plaintext.
 */
export class MacChunkCipher implements ChunkCipher {
  readonly #gmac: GmacKey;
  readonly #xts: XtsKey | undefined;
  readonly #geometry: Geometry;
  readonly #additional: AdditionalData;
  /** The chunk's nonce ‖ u32 sector. */
  readonly #tweak = new Region(16);

  constructor(gmac: GmacKey, xts: XtsKey | undefined, objectId: Uint8Array, geometry: Geometry) {
    this.#gmac = gmac;
    this.#xts = xts;
    this.#geometry = geometry;
    this.#additional = new AdditionalData(objectId);
  }

  seal(
    index: number,
    holes: number,
    plain: Region,
    plainOffset: number,
    stored: Region,
    storedOffset: number,
    record: Region,
    recordOffset: number,
  ): void {
    checkHoles(holes, this.#geometry);
    checkSpan(plain, plainOffset, this.#geometry.chunkSize);
    checkSpan(stored, storedOffset, this.#geometry.chunkSize);
    checkSpan(record, recordOffset, RECORD_SIZE);
    const sectors = this.#geometry.sectorsPerChunk;
    if (this.#xts === undefined) {
      copyData(holes, 0, sectors, plain, plainOffset, stored, storedOffset);
    } else {
      this.#setNonce(record, recordOffset);
      for (let sector = 0; sector < sectors; sector++) {
        if (isHole(holes, sector)) continue;
        const at = sector * SECTOR_SIZE;
        this.#setSector(sector);
        this.#xts.encrypt(this.#tweak, 0, plain, plainOffset + at, stored, storedOffset + at, SECTOR_SIZE);
      }
    }
    zeroHoles(holes, 0, sectors, stored, storedOffset);
    writeHoles(record.view, recordOffset, holes);
    this.#feedTag(index, holes, stored, storedOffset, record, recordOffset);
    this.#gmac.finish(record, recordOffset + recordFields.tag);
  }

  authenticate(index: number, chunk: Region, chunkOffset: number, record: Region, recordOffset: number): boolean {
    checkSpan(chunk, chunkOffset, this.#geometry.chunkSize);
    checkSpan(record, recordOffset, RECORD_SIZE);
    if (isRecordWellFormed(record.view, recordOffset, this.#geometry)) {
      this.#feedTag(index, readHoles(record.view, recordOffset), chunk, chunkOffset, record, recordOffset);
      if (this.#gmac.verify(record, recordOffset + recordFields.tag)) return true;
    }
    wipe(chunk.bytes, chunkOffset, chunkOffset + this.#geometry.chunkSize);
    return false;
  }

  decryptSectors(
    record: Region,
    recordOffset: number,
    chunk: Region,
    chunkOffset: number,
    firstSector: number,
    count: number,
    to: Region,
    toOffset: number,
  ): void {
    checkSectors(firstSector, count, this.#geometry);
    checkSpan(chunk, chunkOffset, this.#geometry.chunkSize);
    checkSpan(to, toOffset, count * SECTOR_SIZE);
    const holes = readHoles(record.view, recordOffset);
    const from = chunkOffset + firstSector * SECTOR_SIZE;
    if (this.#xts === undefined) {
      copyData(holes, firstSector, count, chunk, from, to, toOffset);
    } else {
      this.#setNonce(record, recordOffset);
      for (let i = 0; i < count; i++) {
        if (isHole(holes, firstSector + i)) continue;
        const at = i * SECTOR_SIZE;
        this.#setSector(firstSector + i);
        this.#xts.decrypt(this.#tweak, 0, chunk, from + at, to, toOffset + at, SECTOR_SIZE);
      }
    }
    zeroHoles(holes, firstSector, count, to, toOffset);
  }

  dispose(): void {
    this.#gmac.dispose();
    this.#xts?.dispose();
  }

  #feedTag(
    index: number,
    holes: number,
    stored: Region,
    storedOffset: number,
    record: Region,
    recordOffset: number,
  ): void {
    this.#additional.describe(index, holes);
    this.#gmac.begin(record, recordOffset + recordFields.nonce);
    this.#gmac.update(this.#additional.region, 0, AdditionalData.size);
    const sectors = this.#geometry.sectorsPerChunk;
    for (let start = nextData(holes, 0, sectors); start < sectors; ) {
      const end = nextHole(holes, start, sectors);
      this.#gmac.update(stored, storedOffset + start * SECTOR_SIZE, (end - start) * SECTOR_SIZE);
      start = nextData(holes, end, sectors);
    }
  }

  #setNonce(record: Region, recordOffset: number): void {
    // This runs for every read, and copies three words because a subarray would be an allocation.
    for (let i = 0; i < 12; i += 4) {
      this.#tweak.view.setUint32(i, record.view.getUint32(recordOffset + recordFields.nonce + i, true), true);
    }
  }

  #setSector(sector: number): void {
    this.#tweak.view.setUint32(12, sector, true);
  }
}
