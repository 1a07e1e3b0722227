import { Region } from '../../base/linux/native.ts';
import { Secret } from '../../crypto/secret.ts';
import { type Geometry, PAGE_SIZE } from '../../format/geometry.ts';
import { DIGEST_SIZE } from '../../format/manifest.ts';
import { encodeObjectHeader } from '../../format/object-header.ts';
import { openStore } from '../../stores/open-store.ts';
import type { Store } from '../../stores/store.ts';
import type { GroupSetup, SealTask } from '../create/seal-worker.ts';
import { geometryOf, objectCipher } from '../objects/image-context.ts';
import { digestTagPage } from '../objects/object-sealer.ts';

/**
 * Finds groups of objects that were sealed before an interruption. Who does not have the image key can make none that
 * authenticates, and as the ids of the objects follow from what they hold (format.md §10), it holds what it must.
 */
export class SealedGroups {
  readonly #setup: GroupSetup;
  readonly #store: Store;
  readonly #imageKey: Secret;
  readonly #geometry: Geometry;
  readonly #header = new Region(PAGE_SIZE);
  /** The tag page and the chunks, as they are stored. */
  readonly #stored: Region;
  readonly #digest = new Region(DIGEST_SIZE);

  constructor(setup: GroupSetup) {
    this.#setup = setup;
    this.#store = openStore(setup.store);
    this.#imageKey = Secret.fromShared(setup.imageKey);
    this.#geometry = geometryOf(setup);
    this.#stored = new Region(this.#geometry.groupStride);
  }

  /**
   * Returns the digest of the tag page of a group that is whole and authentic, otherwise undefined.
   * @throws CkptfsError `io`
   */
  digest({ objectId, group, segments }: SealTask): Uint8Array | undefined {
    const { chunkSize } = this.#geometry;
    const id = Buffer.from(objectId);
    const last = segments.at(-1);
    const chunks = this.#geometry.chunksFor(last === undefined ? 0 : last.objectOffset + last.length);
    const file = this.#store.openObject(id.toString('hex'));
    try {
      if (group === 0) {
        const { cipher, imageId } = this.#setup;
        file.read(this.#header, 0, PAGE_SIZE, 0);
        if (!encodeObjectHeader(cipher, chunkSize, Buffer.from(imageId), id).equals(this.#header.bytes))
          return undefined;
      }
      const length = PAGE_SIZE + chunks * chunkSize;
      if (file.read(this.#stored, 0, length, this.#geometry.tagPageOffset(group)) !== length) return undefined;
    } finally {
      file.close();
    }
    // What follows the last record is covered by no tag.
    const rest = this.#stored.bytes.subarray(chunks * this.#geometry.recordSize, PAGE_SIZE);
    if (rest.some((byte) => byte !== 0) || !this.#isAuthentic(id, group, chunks)) return undefined;
    digestTagPage(this.#stored, 0, this.#digest);
    return Uint8Array.from(this.#digest.bytes);
  }

  close(): void {
    this.#store.close();
  }

  #isAuthentic(id: Buffer, group: number, chunks: number): boolean {
    const { chunkSize, chunksPerGroup, recordSize } = this.#geometry;
    const cipher = objectCipher({ header: this.#setup, imageKey: this.#imageKey, geometry: this.#geometry }, id);
    try {
      for (let i = 0; i < chunks; i++) {
        const data = PAGE_SIZE + i * chunkSize;
        if (cipher.verify(group * chunksPerGroup + i, this.#stored, data, this.#stored, i * recordSize) !== 0)
          return false;
      }
      return true;
    } finally {
      cipher.dispose();
    }
  }
}
