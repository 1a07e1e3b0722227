import type { Region } from '../base/linux/native.ts';

/**
 * Protects the chunks of one object (format.md §6, §7). A region and an offset name the place of a whole chunk
 * (chunkSize bytes) or of a record (32 bytes); they are separate parameters because these calls are the hot path, on
 * which no object is allocated. Nothing is kept between calls. A cipher belongs to one thread.
 *
 * Reading takes two calls: {@link authenticate} once for a chunk, then {@link decryptSectors} for any sectors of it.
 * With AES-XTS the chunk stays ciphertext between the two. An AEAD cipher has to decrypt while it authenticates, so it
 * decrypts the chunk in place, and `decryptSectors` only copies.
 */
export interface ChunkCipher {
  /**
   * Encrypts a chunk and fills the record's tag, holes and flags. The record's nonce must already be in place, random
   * and never used before. Hole sectors of `plain` are not read, and are zeros in `stored`. The two may be the same
   * place.
   * @param index of the chunk in the object
   * @param holes bit s set means that sector s is a hole
   */
  seal(
    index: number,
    holes: number,
    plain: Region,
    plainOffset: number,
    stored: Region,
    storedOffset: number,
    record: Region,
    recordOffset: number,
  ): void;
  /**
   * Checks the record's form and authenticates the chunk, and leaves the chunk in the form that {@link decryptSectors}
   * takes. Hole sectors may hold anything, before and after.
   * @returns false when the chunk is not authentic; its bytes are then wiped
   */
  authenticate(index: number, chunk: Region, chunkOffset: number, record: Region, recordOffset: number): boolean;
  /**
   * Writes the plaintext of `count` sectors of an authenticated chunk, zeros for holes. `to` must not overlap the
   * chunk.
   */
  decryptSectors(
    record: Region,
    recordOffset: number,
    chunk: Region,
    chunkOffset: number,
    firstSector: number,
    count: number,
    to: Region,
    toOffset: number,
  ): void;
  /** Wipes the keys; further use throws. */
  dispose(): void;
}
