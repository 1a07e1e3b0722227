import { CkptfsError } from '../../../base/errors.ts';
import { Region } from '../../../base/linux/native.ts';
import { wipe } from '../../../base/wipe.ts';
import type { ChunkCipher } from '../../../crypto/chunk-cipher.ts';
import { createChunkCipher } from '../../../crypto/chunk-ciphers.ts';
import type { Secret } from '../../../crypto/secret.ts';
import { primitives } from '../../../crypto/select.ts';
import { type Geometry, RECORD_SIZE } from '../../../format/geometry.ts';
import type { Header } from '../../../format/header.ts';
import type { Store, StoredObject } from '../../../stores/store.ts';

interface OpenObject {
  readonly id: string;
  readonly file: StoredObject;
  readonly cipher: ChunkCipher;
}

/** Checks whether the store has the chunks that a journal names. */
export class ChunkVerifier {
  readonly #store: Store;
  readonly #header: Header;
  readonly #imageKey: Secret;
  readonly #geometry: Geometry;
  readonly #data: Region;
  /** The object used last. */
  #open: OpenObject | undefined;

  constructor(store: Store, header: Header, imageKey: Secret, geometry: Geometry) {
    this.#store = store;
    this.#header = header;
    this.#imageKey = imageKey;
    this.#geometry = geometry;
    this.#data = new Region(geometry.chunkSize);
  }

  /**
   * Whether a run of chunks authenticates under its records.
   * @param objectId 16 bytes
   * @param records 32 bytes each
   * @throws CkptfsError `io`
   */
  isAuthentic(objectId: Buffer, first: number, records: Buffer): boolean {
    const object = this.#openObject(objectId);
    if (object === undefined) return false;
    const { chunkSize } = this.#geometry;
    const record = new Region(records);
    for (let index = 0; index < records.length / RECORD_SIZE; index++) {
      const chunk = first + index;
      const read = object.file.read(this.#data, 0, chunkSize, this.#geometry.chunkOffset(chunk));
      // The last sectors of a chunk may be holes after the end of the file.
      this.#data.bytes.fill(0, read); // not secret: a hole
      if (!object.cipher.authenticate(chunk, this.#data, 0, record, index * RECORD_SIZE)) return false;
    }
    return true;
  }

  close(): void {
    this.#open?.cipher.dispose();
    this.#open?.file.close();
    this.#open = undefined;
    wipe(this.#data.bytes);
  }

  /** Opens an object. Returns undefined if it is missing. */
  #openObject(objectId: Buffer): OpenObject | undefined {
    const id = objectId.toString('hex');
    if (this.#open?.id === id) return this.#open;
    this.close();
    const { cipher, imageId } = this.#header;
    let file: StoredObject;
    try {
      file = this.#store.openObject(id);
    } catch (error) {
      if (error instanceof CkptfsError && error.code === 'damaged') return undefined;
      throw error;
    }
    this.#open = {
      id,
      file,
      cipher: createChunkCipher(primitives(), cipher, this.#imageKey, imageId, objectId, this.#geometry),
    };
    return this.#open;
  }
}
