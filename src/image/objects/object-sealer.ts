import { Region } from '../../base/linux/native.ts';
import type { ChunkCipher } from '../../crypto/chunk-cipher.ts';
import { primitives } from '../../crypto/select.ts';
import { type Geometry, PAGE_SIZE } from '../../format/geometry.ts';
import { encodeObjectHeader } from '../../format/object-header.ts';
import type { WritableObject } from '../../stores/writable-store.ts';
import { type ObjectContext, objectCipher } from './image-context.ts';
import type { Nonces } from './nonces.ts';

/** Seals the chunks of one object, each under a nonce of its own. Both ways of writing an image go through it. */
export class ObjectSealer {
  readonly #cipher: ChunkCipher;
  readonly #nonces: Nonces;
  readonly #geometry: Geometry;

  /**
   * @param id 16 bytes
   * @param nonces must have begun a batch for the chunks that are sealed
   */
  constructor(image: ObjectContext, id: Buffer, nonces: Nonces) {
    this.#cipher = objectCipher(image, id);
    this.#nonces = nonces;
    this.#geometry = image.geometry;
  }

  /**
   * Seals a chunk from `plain` to `sealed`, and puts its record on the tag page of its group.
   * @param holes bit s means that sector s is a hole, which is neither read nor written
   * @param compressedSectors how many sectors `plain` has of a compressed chunk; 0 if it is not compressed
   * @param page may be the region that is sealed to, but not the same bytes of it
   */
  seal(
    chunk: number,
    holes: number,
    compressedSectors: number,
    plain: Region,
    plainOffset: number,
    sealed: Region,
    sealedOffset: number,
    page: Region,
  ): void {
    const record = this.#geometry.recordOffset(chunk);
    this.#nonces.take(page, record, this.#geometry);
    this.#cipher.seal(chunk, holes, compressedSectors, plain, plainOffset, sealed, sealedOffset, page, record);
  }

  /** Wipes the keys. */
  dispose(): void {
    this.#cipher.dispose();
  }
}

/** Writes the header page of an object. @throws CkptfsError `io` */
export function writeObjectHeader(
  file: WritableObject,
  { cipher, chunkSize, imageId }: ObjectContext['header'],
  id: Buffer,
): void {
  file.write(new Region(encodeObjectHeader(cipher, chunkSize, imageId, id)), 0, PAGE_SIZE, 0);
}

/** Puts the SHA-256 of the tag page at an offset into `digest`. */
export function digestTagPage(page: Region, offset: number, digest: Region): void {
  primitives().sha256(page, offset, PAGE_SIZE, digest, 0);
}
