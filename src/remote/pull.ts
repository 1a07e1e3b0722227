import { createHash } from 'node:crypto';
import { CkptfsError } from '../base/errors.ts';
import { Region } from '../base/linux/native.ts';
import { PACKED_BLOCK_SIZE, packBlock, packPart } from '../format/packed-part.ts';
import {
  type FilePart,
  objectIdOf,
  partsOf,
  type RemoteFile,
  type RemoteIndex,
  remoteSize,
} from '../format/remote-index.ts';
import { PulledStore } from '../stores/pulled-store.ts';
import type { NamedFile } from '../stores/store.ts';
import { checkFetched, fetchHeader, fetchWhole } from './fetch-whole.ts';
import { PartWriter } from './part-writer.ts';
import type { PushOptions, Transferred } from './push.ts';
import { sha256Hex } from './shared/digest.ts';
import { eachOf } from './shared/each-of.ts';
import { unavailable } from './shared/faults.ts';
import type { RemoteStore } from './shared/remote-store.ts';

export interface PullOptions extends Pick<PushOptions, 'jobs' | 'signal' | 'onProgress'> {
  /** Refuses an image with another id; 32 hexadecimal digits. */
  readonly imageId?: string | undefined;
  /** One short line that names this process to others. */
  readonly holder: string;
}

interface PartOfObject extends FilePart {
  readonly id: string;
  /** Whether the file has zeros there; otherwise the part may be there. */
  readonly isNew: boolean;
}

/**
 * Fetches an image into a new directory, or goes on where that was interrupted: what is missing, and last of all the
 * manifest, without which nothing opens the image.
 * @throws CkptfsError `exists`, `store-unavailable`, `not-an-image`, `wrong-image`, `damaged`, `locked`, `io`,
 *   `interrupted`
 */
export async function pullImage(remote: RemoteStore, location: string, options: PullOptions): Promise<Transferred> {
  const index = await remote.readIndex();
  if (index === undefined) throw unavailable(remote.location, 'absent', 'there is no image');
  if (options.imageId !== undefined && options.imageId !== index.imageId) {
    throw new CkptfsError('wrong-image', `${remote.location} has image ${index.imageId}, not ${options.imageId}`, {
      data: { reason: 'other-id' },
    });
  }
  const header = await fetchHeader(remote, index);
  const store = PulledStore.begin(location, index.imageId);
  try {
    const lock = store.lock(options.holder);
    try {
      return await new Pull(remote, index, store, options).run(header);
    } finally {
      lock.release();
    }
  } finally {
    store.close();
  }
}

/** One pull into a directory that is locked. */
class Pull {
  readonly #remote: RemoteStore;
  readonly #index: RemoteIndex;
  readonly #store: PulledStore;
  readonly #options: PullOptions;
  readonly #totalBytes: number;
  #doneBytes = 0;
  #movedParts = 0;
  #movedBytes = 0;

  constructor(remote: RemoteStore, index: RemoteIndex, store: PulledStore, options: PullOptions) {
    this.#remote = remote;
    this.#index = index;
    this.#store = store;
    this.#options = options;
    this.#totalBytes = remoteSize(index);
  }

  async run(header: Buffer): Promise<Transferred> {
    const { files, imageId } = this.#index;
    // Another pull may have ended here before this one had the lock.
    if (!this.#store.isBegun(imageId)) throw this.#occupied('was pulled just now');
    if (this.#sealedOtherwise()) throw this.#occupied('was pulled, and sealed since');
    this.#publish('ckptfs.json', header);
    this.#removeOthers();
    const parts: PartOfObject[] = [];
    for (const file of files) {
      parts.push(...this.#partsOfObject(file));
      await this.#yield();
    }
    await eachOf(parts, this.#options.jobs, (part) => this.#fetch(part));
    this.#store.syncNames();
    await this.#fetchNamed('signatures');
    await this.#fetchNamed('manifest');
    this.#store.finish();
    const size = this.#totalBytes;
    const count = files.reduce((sum, file) => sum + file.parts.length, 0);
    return { imageId, size, parts: count, movedParts: this.#movedParts, movedBytes: this.#movedBytes };
  }

  #occupied(how: string): CkptfsError {
    const { location } = this.#store;
    return new CkptfsError('exists', `${location} has an image that ${how}`, {
      path: location,
      data: { reason: 'not-empty' },
    });
  }

  /** Tells whether a manifest is there that is not the one of the index: then the image was sealed again since. */
  #sealedOtherwise(): boolean {
    const file = this.#index.files.find(({ name }) => name === 'manifest');
    const size = this.#store.sizeOf('manifest');
    if (size === undefined || file === undefined) return false;
    const bytes = this.#store.readNamed('manifest', size) ?? Buffer.alloc(0);
    const isOther = ({ digest, start, length }: FilePart): boolean =>
      sha256Hex(packPart(bytes.subarray(start, start + length))) !== digest;
    return size !== file.size || partsOf(file, this.#index.partSize).some(isOther);
  }

  #publish(name: NamedFile, bytes: Buffer): void {
    this.#account(bytes.length);
    if (this.#store.sizeOf(name) === bytes.length && this.#store.readNamed(name, bytes.length)?.equals(bytes) === true)
      return;
    this.#store.publish(name, bytes);
    this.#moved(bytes.length);
  }

  /** Removes objects of an earlier push that was begun to be fetched. */
  #removeOthers(): void {
    const wanted = new Set(this.#index.files.map(objectIdOf));
    for (const { id } of this.#store.list().objects) if (!wanted.has(id)) this.#store.removeObject(id);
  }

  /** Makes the file of an object with its size, and returns its parts. */
  #partsOfObject(file: RemoteFile): PartOfObject[] {
    const id = objectIdOf(file);
    if (id === undefined) return [];
    const length = this.#store.lengthOf(id);
    const object = length === undefined ? this.#store.createObject(id) : this.#store.openObjectForWriting(id);
    try {
      if (length !== file.size) object.truncate(file.size);
    } finally {
      object.close();
    }
    return partsOf(file, this.#index.partSize).map((part) => ({ ...part, id, isNew: part.start >= (length ?? 0) }));
  }

  async #fetch(part: PartOfObject): Promise<void> {
    const object = this.#store.openObjectForWriting(part.id);
    try {
      if (part.isNew || (await this.#digestOf(object, part)) !== part.digest) {
        const writer = new PartWriter(object, part, part.isNew);
        await this.#remote.getRange(part, 0, part.size, (chunk) => writer.write(chunk));
        const { digest, isWhole } = writer.end();
        checkFetched(this.#remote, part, digest, isWhole);
        this.#moved(part.size);
      }
    } finally {
      object.close();
    }
    this.#account(part.length);
  }

  async #digestOf(object: { read: PulledReader }, { start, length }: PartOfObject): Promise<string> {
    const region = new Region(Math.min(PACKED_BLOCK_SIZE, length));
    const hash = createHash('sha256');
    for (let at = 0; at < length; at += region.length) {
      const count = object.read(region, 0, Math.min(region.length, length - at), start + at);
      hash.update(packBlock(region.bytes.subarray(0, count)));
      await this.#yield();
    }
    return hash.digest('hex');
  }

  async #fetchNamed(name: 'signatures' | 'manifest'): Promise<void> {
    const file = this.#index.files.find((each) => each.name === name);
    if (file !== undefined) this.#publish(name, await fetchWhole(this.#remote, file, this.#index.partSize));
    else if (name === 'signatures') this.#store.removeSignatures();
  }

  /** Lets signals come. @throws CkptfsError `interrupted` */
  async #yield(): Promise<void> {
    await new Promise(setImmediate);
    if (this.#options.signal.aborted) throw new CkptfsError('interrupted', 'interrupted');
  }

  #moved(bytes: number): void {
    this.#movedParts++;
    this.#movedBytes += bytes;
  }

  #account(bytes: number): void {
    this.#doneBytes += bytes;
    this.#options.onProgress?.({ doneBytes: this.#doneBytes, totalBytes: this.#totalBytes });
  }
}

type PulledReader = (to: Region, toOffset: number, length: number, position: number) => number;
