import type { Region } from '../base/linux/native.ts';
import { wipe } from '../base/wipe.ts';
import { type Geometry, RECORD_SIZE, SECTOR_SIZE } from '../format/geometry.ts';
import { isRecordWellFormed, nextData, nextHole, readHoles, recordFields, writeHoles } from '../format/record.ts';
import { checkSpan } from './checks.ts';
import type { ChunkCipher } from './chunk-cipher.ts';
import { AdditionalData, checkHoles, checkSectors, copyData, zeroHoles } from './chunk-data.ts';
import type { AeadKey } from './primitives.ts';

/** Seals each chunk as one AEAD message, whose plaintext is the chunk's data sectors in order. */
export class AeadChunkCipher implements ChunkCipher {
  readonly #key: AeadKey;
  readonly #geometry: Geometry;
  readonly #additional: AdditionalData;

  constructor(key: AeadKey, objectId: Uint8Array, geometry: Geometry) {
    this.#key = key;
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
    writeHoles(record.view, recordOffset, holes);
    this.#key.beginSeal(record, recordOffset + recordFields.nonce);
    this.#crypt(index, holes, plain, plainOffset, stored, storedOffset);
    this.#key.finish(record, recordOffset + recordFields.tag);
    zeroHoles(holes, 0, this.#geometry.sectorsPerChunk, stored, storedOffset);
  }

  authenticate(index: number, chunk: Region, chunkOffset: number, record: Region, recordOffset: number): boolean {
    checkSpan(chunk, chunkOffset, this.#geometry.chunkSize);
    checkSpan(record, recordOffset, RECORD_SIZE);
    if (isRecordWellFormed(record.view, recordOffset, this.#geometry)) {
      this.#key.beginOpen(record, recordOffset + recordFields.nonce);
      this.#crypt(index, readHoles(record.view, recordOffset), chunk, chunkOffset, chunk, chunkOffset);
      if (this.#key.verify(record, recordOffset + recordFields.tag)) return true;
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
    copyData(holes, firstSector, count, chunk, chunkOffset + firstSector * SECTOR_SIZE, to, toOffset);
    zeroHoles(holes, firstSector, count, to, toOffset);
  }

  dispose(): void {
    this.#key.dispose();
  }

  #crypt(index: number, holes: number, from: Region, fromOffset: number, to: Region, toOffset: number): void {
    this.#additional.describe(index, holes);
    this.#key.additional(this.#additional.region, 0, AdditionalData.size);
    const sectors = this.#geometry.sectorsPerChunk;
    for (let start = nextData(holes, 0, sectors); start < sectors; ) {
      const end = nextHole(holes, start, sectors);
      const at = start * SECTOR_SIZE;
      this.#key.crypt(from, fromOffset + at, to, toOffset + at, (end - start) * SECTOR_SIZE);
      start = nextData(holes, end, sectors);
    }
  }
}
