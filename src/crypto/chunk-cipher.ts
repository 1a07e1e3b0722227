import type { Region } from '../base/linux/native.ts';

/**
 * Protects the chunks of one object, sector by sector (format.md §6, §7). A region and an offset name the place of a
 * chunk, of a sector of it, or of a record; they are separate parameters because these calls are the hot path, on which
 * no object is allocated. Nothing is kept between calls. A cipher belongs to one thread.
 */
export interface ChunkCipher {
  /**
   * Encrypts a chunk and fills the rest of its record. The record's nonce must already be in place, random but for the
   * bits of a sector, and never used before. Sectors of `plain` that store nothing are not read, and are zeros in
   * `stored`. The two may be the same place.
   * @param index of the chunk in the object
   * @param holes bit s set means that sector s is a hole
   * @param compressedSectors how many sectors `plain` has of a compressed chunk; 0 if it is not compressed
   */
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
  ): void;
  /**
   * Checks the record's form, and authenticates and decrypts `count` sectors of a chunk as they are stored, zeros for
   * those that store nothing. Other sectors are not looked at. The two places may be the same. No other thread or
   * process may see `to` before this returns.
   * @param storedOffset of the first of these sectors
   * @returns false when one of them is not authentic; all of `to` is then wiped
   */
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
  ): boolean;
  /**
   * Checks the record's form and authenticates a whole chunk, whose bytes must not be used afterwards.
   * @returns a map of the sectors that are not authentic: bit s set means that sector s is not
   */
  verify(index: number, stored: Region, storedOffset: number, record: Region, recordOffset: number): number;
  /** Wipes the keys; further use throws. */
  dispose(): void;
}
