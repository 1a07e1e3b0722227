import type { Region } from '../../base/linux/native.ts';
import type { ChunkCipher } from '../../crypto/chunk-cipher.ts';
import type { Geometry } from '../../format/geometry.ts';
import type { StoredObject } from '../../stores/store.ts';
import { type ImageContext, type ObjectContext, objectCipher } from './image-context.ts';

/**
 * An object that is open to be read: its file and its keys. Every way of reading an image goes through it.
 * @typeParam E what the reader knows of the object
 */
export class OpenObject<E extends { readonly id: Buffer }> {
  /** 32 hexadecimal digits. */
  readonly id: string;
  readonly entry: E;
  readonly file: StoredObject;
  readonly cipher: ChunkCipher;
  readonly #geometry: Geometry;

  private constructor(image: ObjectContext, entry: E, file: StoredObject) {
    this.id = entry.id.toString('hex');
    this.entry = entry;
    this.file = file;
    this.cipher = objectCipher(image, entry.id);
    this.#geometry = image.geometry;
  }

  /**
   * Opens an object.
   * @param check looks at the file, and throws if it must not be used
   * @throws CkptfsError `damaged` when it is missing, `io`, and what `check` throws
   */
  static open<E extends { readonly id: Buffer }>(
    image: ImageContext,
    entry: E,
    check?: (file: StoredObject) => void,
  ): OpenObject<E> {
    const file = image.store.openObject(entry.id.toString('hex'));
    try {
      check?.(file);
      return new OpenObject(image, entry, file);
    } catch (error) {
      file.close();
      throw error;
    }
  }

  /**
   * Reads what is stored of a part of the data space that is in one group, and returns how many bytes the file had of
   * it. The rest of `to` is zeros: the last sectors of a growing object may be holes that its file does not reach.
   * @throws CkptfsError `io`
   */
  readSealed(start: number, length: number, to: Region, toOffset: number): number {
    const read = this.file.read(to, toOffset, length, this.#geometry.dataOffset(start));
    if (read < length) to.bytes.fill(0, toOffset + read, toOffset + length); // not secret: a hole
    return read;
  }

  /** Wipes the keys and closes the file. */
  close(): void {
    this.cipher.dispose();
    this.file.close();
  }
}
