import { setImmediate as turn } from 'node:timers/promises';
import { Counters } from '../base/counters.ts';
import { CkptfsError } from '../base/errors.ts';
import { Region } from '../base/linux/native.ts';
import { quotedPath } from '../base/printable.ts';
import { wipe } from '../base/wipe.ts';
import { type FileInode, type Inode, ROOT_INODE } from '../format/manifest.ts';
import type { CreatedImage } from '../image/create/create.ts';
import { describeContents } from '../image/read/describe.ts';
import type { ImageSource } from '../image/read/image-source.ts';
import { DEFAULT_READ_CACHE_BYTES } from '../image/read/object-reader.ts';
import { ImageTree } from '../image/read/tree.ts';
import type { Progress } from '../image/workers/worker-pool.ts';
import type { WritableImage } from '../image/writable/writable-image.ts';
import { type CreateFilledOptions, createFilled } from './create-filled.ts';

export interface CreateFromOptions extends CreateFilledOptions {
  readonly onProgress?: (progress: Progress) => void;
}

/** Bytes that are copied at once. */
const STEP = 1 << 20;

/**
 * Encrypts a source that is open into a new image, without plaintext on a disk. When it fails the destination is as it
 * was before.
 * @throws CkptfsError `exists`, `damaged` when something in the source cannot be read, `io`, `interrupted`,
 *   `bad-argument`
 */
export async function createFrom(
  source: ImageSource,
  { onProgress, ...options }: CreateFromOptions,
): Promise<CreatedImage> {
  const root = source.manifest.inodes[ROOT_INODE - 1];
  if (root === undefined) throw new CkptfsError('internal', 'a source without a root directory');
  return createFilled(options, ownerOf(root), async (image) => {
    await new Copy(image, source, { signal: options.signal, onProgress }).run();
    const { files, fileBytes } = describeContents(source.manifest.inodes);
    return { files, bytes: fileBytes, skipped: [], losses: [] };
  });
}

interface Steps {
  readonly signal: AbortSignal | undefined;
  readonly onProgress: CreateFromOptions['onProgress'] | undefined;
}

class Copy {
  readonly #image: WritableImage;
  readonly #source: ImageSource;
  readonly #tree: ImageTree;
  readonly #steps: Steps;
  readonly #buffer = new Region(STEP);
  readonly #totalBytes: number;
  #doneBytes = 0;
  /** Numbers in the image, by those in the source. */
  readonly #numbers: number[] = [];

  constructor(image: WritableImage, source: ImageSource, steps: Steps) {
    this.#image = image;
    this.#source = source;
    this.#steps = steps;
    this.#tree = new ImageTree(source.manifest);
    this.#totalBytes = describeContents(source.manifest.inodes).fileBytes;
  }

  /** Makes each directory before what is in it, and sets times when nothing changes them any more. */
  async run(): Promise<void> {
    const { entries, inodes } = this.#source.manifest;
    this.#numbers[ROOT_INODE] = ROOT_INODE;
    const reader = this.#source.openReader(DEFAULT_READ_CACHE_BYTES, new Counters());
    try {
      for (const { parent, name, inode: number } of entries) {
        const inode = inodes[number - 1];
        const directory = this.#numbers[parent];
        if (inode === undefined || directory === undefined) throw new CkptfsError('internal', `no inode ${number}`);
        const known = this.#numbers[number];
        if (known !== undefined) {
          this.#image.link(known, directory, name);
          continue;
        }
        const copy = this.#make(directory, name, inode);
        this.#numbers[number] = copy;
        if (inode.type === 'file') await this.#fill(reader, inode, number, copy);
      }
      for (const [number, copy] of this.#numbers.entries()) {
        const inode = this.#tree.inode(number);
        if (inode === undefined) continue;
        const { mode, atime, mtime } = inode;
        this.#image.setMetadata(copy, { ...(inode.type === 'symlink' ? {} : { mode }), atime, mtime });
      }
    } finally {
      wipe(this.#buffer.bytes);
      reader.close();
    }
  }

  #make(directory: number, name: Buffer, inode: Inode): number {
    const owner = ownerOf(inode);
    if (inode.type === 'directory') return this.#image.mkdir(directory, name, owner);
    if (inode.type === 'symlink') return this.#image.symlink(directory, name, inode.target, owner);
    if (inode.type === 'file') return this.#image.create(directory, name, owner);
    return this.#image.mknod(directory, name, inode.type, owner);
  }

  async #fill(
    reader: ReturnType<ImageSource['openReader']>,
    inode: FileInode,
    from: number,
    to: number,
  ): Promise<void> {
    for (let offset = 0; offset < inode.size; ) {
      const count = this.#read(reader, inode, from, offset);
      this.#image.write(to, offset, count, this.#buffer, 0);
      offset += count;
      this.#doneBytes += count;
      this.#steps.onProgress?.({ doneBytes: this.#doneBytes, totalBytes: this.#totalBytes });
      await turn();
      if (this.#steps.signal?.aborted === true) throw new CkptfsError('interrupted', 'interrupted by a signal');
    }
    this.#image.unstored.closed(to);
  }

  #read(reader: ReturnType<ImageSource['openReader']>, inode: FileInode, number: number, offset: number): number {
    try {
      const count = reader.read(inode, offset, STEP, this.#buffer, 0);
      if (count === 0) throw new CkptfsError('damaged', 'it ends early');
      return count;
    } catch (cause) {
      if (!(cause instanceof CkptfsError) || cause.code !== 'damaged') throw cause;
      const path = this.#tree.pathOf(number);
      throw new CkptfsError('damaged', `${quotedPath(path)}: ${cause.message}`, { path: path.toString(), cause });
    }
  }
}

function ownerOf({ mode, uid, gid }: Inode) {
  return { mode, uid, gid };
}
