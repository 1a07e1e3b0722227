import type { Region } from '../base/linux/native.ts';
import type { SectorHead } from './sector-head.ts';

/**
 * Protects single sectors of one object. `length` is that of a sector, or 0 for a hole, which has a tag alone; `tag`
 * and its offset are the place of 12 bytes. The caller has checked the places of sectors.
 */
export interface SectorCipher {
  /** Encrypts, possibly in place, and writes the tag. */
  seal(
    head: SectorHead,
    plain: Region,
    plainOffset: number,
    stored: Region,
    storedOffset: number,
    length: number,
    tag: Region,
    tagOffset: number,
  ): void;
  /**
   * Decrypts, possibly in place.
   * @returns false when the tag is wrong; `to` may then hold the sector decrypted all the same
   */
  open(
    head: SectorHead,
    stored: Region,
    storedOffset: number,
    to: Region,
    toOffset: number,
    length: number,
    tag: Region,
    tagOffset: number,
  ): boolean;
  /** Returns whether the tag is right. The stored bytes must not be used afterwards. */
  verify(
    head: SectorHead,
    stored: Region,
    storedOffset: number,
    length: number,
    tag: Region,
    tagOffset: number,
  ): boolean;
  dispose(): void;
}
