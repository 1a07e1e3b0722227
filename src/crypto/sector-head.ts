import { Region } from '../base/linux/native.ts';
import { copyNonce, NONCE_SIZE, readCompressedSectors, readHoles, setSectorBits } from '../format/record.ts';
import { checkLength } from './checks.ts';
import type { NonceSize } from './primitives.ts';

const OBJECT_ID_SIZE = 16;

/** Offsets of the fields of a sector's additional data. */
const fields = { objectId: 0, chunk: 16, sector: 24, holes: 28, compressedSectors: 30 } as const;

/** What one sector is sealed and opened with, besides the keys of its object (format.md §7). */
export class SectorHead {
  static readonly additionalSize = 32;
  /** Belongs to the sector: the chunk's nonce with the sector's number in it or, in 16 bytes, after it. */
  readonly nonce: Region;
  readonly additional = new Region(SectorHead.additionalSize);
  /** For XTS: the chunk's nonce ‖ u32 sector, which is also a nonce of 16 bytes. */
  readonly tweak = new Region(NONCE_SIZE + 4);

  /** @param objectId 16 bytes */
  constructor(objectId: Uint8Array, nonceSize: NonceSize) {
    checkLength('object id', objectId, OBJECT_ID_SIZE);
    this.nonce = nonceSize === NONCE_SIZE ? new Region(NONCE_SIZE) : this.tweak;
    this.additional.bytes.set(objectId, fields.objectId);
  }

  /** Sets what all sectors of a chunk share. @param index of the chunk in the object */
  setChunk(index: number, record: Region, recordOffset: number): void {
    copyNonce(record.view, recordOffset, this.tweak.view);
    if (this.nonce !== this.tweak) copyNonce(record.view, recordOffset, this.nonce.view);
    this.additional.view.setUint32(fields.chunk, index >>> 0, true);
    this.additional.view.setUint32(fields.chunk + 4, Math.floor(index / 2 ** 32), true);
    this.additional.view.setUint16(fields.holes, readHoles(record.view, recordOffset), true);
    const compressed = readCompressedSectors(record.view, recordOffset);
    this.additional.view.setUint16(fields.compressedSectors, compressed, true);
  }

  setSector(sector: number): void {
    if (this.nonce !== this.tweak) setSectorBits(this.nonce.view, sector);
    this.tweak.view.setUint32(NONCE_SIZE, sector, true);
    this.additional.view.setUint32(fields.sector, sector, true);
  }
}
