import { CkptfsError } from '../../../base/errors.ts';
import { Region } from '../../../base/linux/native.ts';
import { wipe } from '../../../base/wipe.ts';
import type { ImageContext } from '../../objects/image-context.ts';
import { OpenObject } from '../../objects/open-object.ts';

/** Checks whether the store has the chunks that a journal names. */
export class ChunkVerifier {
  readonly #image: ImageContext;
  readonly #data: Region;
  /** The object used last. */
  #last: OpenObject<{ readonly id: Buffer }> | undefined;

  constructor(image: ImageContext) {
    this.#image = image;
    this.#data = new Region(image.geometry.chunkSize);
  }

  /**
   * Returns whether a run of chunks authenticates under its records.
   * @param objectId 16 bytes
   * @throws CkptfsError `io`
   */
  isAuthentic(objectId: Buffer, first: number, records: Buffer): boolean {
    const object = this.#openObject(objectId);
    if (object === undefined) return false;
    const record = new Region(records);
    const { chunkSize, recordSize } = this.#image.geometry;
    for (let index = 0; index < records.length / recordSize; index++) {
      object.readSealed((first + index) * chunkSize, chunkSize, this.#data, 0);
      if (object.cipher.verify(first + index, this.#data, 0, record, index * recordSize) !== 0) return false;
    }
    return true;
  }

  close(): void {
    this.#last?.close();
    this.#last = undefined;
    wipe(this.#data.bytes);
  }

  /** Opens an object. Returns undefined if it is missing. */
  #openObject(id: Buffer): OpenObject<{ readonly id: Buffer }> | undefined {
    if (this.#last?.entry.id.equals(id) === true) return this.#last;
    this.close();
    try {
      this.#last = OpenObject.open(this.#image, { id });
    } catch (error) {
      if (!(error instanceof CkptfsError) || error.code !== 'damaged') throw error;
    }
    return this.#last;
  }
}
