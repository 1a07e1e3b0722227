import { rmSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { closeDescriptor } from '../../base/linux/descriptors.ts';
import type { Directory } from '../../base/linux/directory.ts';
import { tryLock } from '../../base/linux/files.ts';
import type { CacheDirectory } from './cache-directory.ts';
import { draftName, EVICTION_LOCK, IMAGE, isDraft, OLD_DRAFT_SECONDS } from './cache-layout.ts';

/** What is removed when there is too much: so that it is not done again at once. */
const KEPT_PART = 0.9;
/** How much of the size may be written before it is looked how much there is. */
const UNSEEN_PART = 0.05;
const UNUSED_STUB_SECONDS = 30 * 24 * 3600;

interface FoundBlock {
  readonly folder: string;
  readonly name: string;
  readonly size: number;
  readonly usedAt: number;
}

/** Keeps the cache within its size: the blocks that were not used for the longest time go first. */
export class Eviction {
  readonly #cache: CacheDirectory;
  /** Bytes that the blocks may take. */
  readonly #size: number;
  /** Bytes that were written since it was looked how much there is. */
  #unseen = 0;
  /** Whether there was no room for a block although the size allows it. */
  #isFull = false;
  #running: Promise<void> | undefined;

  constructor(cache: CacheDirectory, size: number) {
    this.#cache = cache;
    this.#size = size;
  }

  /** Hears how many bytes were written, and looks after the cache when they are many. */
  wrote(bytes: number): void {
    this.#unseen += bytes;
    if (this.#isMuchUnseen) void this.run();
  }

  /** Hears that there is no room for what the size allows: a part of what is there goes then. */
  noRoom(): void {
    this.#isFull = true;
    void this.run();
  }

  get #isMuchUnseen(): boolean {
    return this.#unseen > this.#size * UNSEEN_PART;
  }

  /** Removes what is too much, old drafts, and stubs that are long unused, unless another process does. */
  run(): Promise<void> {
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async #run(): Promise<void> {
    if ((this.#unseen === 0 && !this.#isFull) || !this.#cache.lock(EVICTION_LOCK)) return;
    try {
      // Much may be written meanwhile, and then nothing for long.
      do {
        this.#unseen = 0;
        await this.#removeBlocks();
      } while (this.#isMuchUnseen);
      for (const name of this.#cache.images.names()) this.#removeStub(name.toString());
    } catch {
      // The next run may do better. What is written meanwhile fails where there is no room for it, and that is told.
    } finally {
      this.#cache.unlock(EVICTION_LOCK);
    }
  }

  async #removeBlocks(): Promise<void> {
    const found: FoundBlock[] = [];
    let total = 0;
    for (const folder of this.#cache.blocks.names()) {
      // There may be many: readers are heard in between.
      await nextTurn();
      for (const block of this.#blocksIn(folder.toString())) {
        found.push(block);
        total += block.size;
      }
    }
    const room = this.#isFull ? Math.min(this.#size, total) : this.#size;
    this.#isFull = false;
    if (total <= room * (1 - UNSEEN_PART)) return;
    for (const { folder, name, size } of found.sort((one, other) => one.usedAt - other.usedAt)) {
      if (total <= room * KEPT_PART) return;
      withDirectory(this.#cache.blocks, folder, (directory) => directory.unlink(name));
      total -= size;
    }
  }

  /** Lists the blocks in a folder, and removes old drafts. */
  #blocksIn(folder: string): FoundBlock[] {
    const found: FoundBlock[] = [];
    withDirectory(this.#cache.blocks, folder, (directory) => {
      for (const bytes of directory.names()) {
        const name = bytes.toString();
        const status = directory.lstat(name);
        if (status === undefined) continue;
        const usedAt = Number(status.mtimeMs) / 1000;
        if (!isDraft(name)) found.push({ folder, name, size: Number(status.size), usedAt });
        else if (isOlder(usedAt, OLD_DRAFT_SECONDS)) directory.unlink(name);
      }
    });
    return found;
  }

  /** Removes a stub that no process has locked and that no mount used for long, or an old draft of one of its files. */
  #removeStub(name: string): void {
    const { images } = this.#cache;
    const status = images.lstat(name);
    if (status === undefined) return;
    const age = isDraft(name) ? OLD_DRAFT_SECONDS : UNUSED_STUB_SECONDS;
    if (!isOlder(Number(status.mtimeMs) / 1000, age)) return;
    const removed = isDraft(name) ? name : draftName();
    if (!isDraft(name)) {
      const isMoved = withDirectory(images, name, (stub) =>
        withDirectory(stub, IMAGE, (image) => whileUnread(image, () => images.rename(name, removed))),
      );
      if (isMoved !== true) return;
    }
    rmSync(`/proc/self/fd/${images.fd}/${removed}`, { recursive: true, force: true });
  }
}

function isOlder(seconds: number, age: number): boolean {
  return Date.now() / 1000 - seconds > age;
}

/** Does something while no reader of an image has it locked, and none can. Returns whether it was done. */
function whileUnread(image: Directory, work: () => void): boolean {
  const fd = image.openReadable();
  try {
    if (!tryLock(fd)) return false;
    work();
    return true;
  } finally {
    closeDescriptor(fd);
  }
}

/** Returns undefined for what fails: what is gone need not be removed, and other things stay. */
function withDirectory<T>(above: Directory, name: string, use: (directory: Directory) => T): T | undefined {
  try {
    const directory = above.openDirectory(name);
    try {
      return use(directory);
    } finally {
      directory.close();
    }
  } catch {
    return undefined;
  }
}
