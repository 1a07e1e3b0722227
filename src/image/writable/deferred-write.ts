import { CkptfsError } from '../../base/errors.ts';
import { Region } from '../../base/linux/native.ts';
import { LockedPages } from '../../crypto/locked-pages.ts';
import { wipe } from '../../crypto/wipe.ts';
import type { WritableImage } from './writable-image.ts';

/** Where the bytes of a write are, and where in which file they belong. */
interface Pending {
  readonly inode: number;
  readonly offset: number;
  /** Bytes. */
  length: number;
  from: Region;
  fromOffset: number;
}

/**
 * At most one deferred write: one that was answered and is not stored yet (W15). It borrows the buffer of the request
 * until {@link keep} copies the bytes.
 */
export class DeferredWrite {
  readonly #image: WritableImage;
  #pending: Pending | undefined;
  /** Whether the store refused it, so that its file is marked as lost. */
  #isRefused = false;
  /** Memory to keep it in. It is taken before a write is deferred, so that keeping it cannot fail. */
  #spare: LockedPages | undefined;

  constructor(image: WritableImage) {
    this.#image = image;
  }

  get inode(): number | undefined {
    return this.#pending?.inode;
  }

  /** Returns the offset at which it ends, if it is a write to this file, and 0 otherwise. */
  endIn(inode: number): number {
    return this.#pending?.inode === inode ? this.#pending.offset + this.#pending.length : 0;
  }

  /**
   * Takes a write over, for which space was reserved. There must be no other.
   * @throws RangeError when there is no memory: nothing is deferred
   */
  defer(inode: number, offset: number, length: number, from: Region, fromOffset: number): void {
    if (this.#spare === undefined || this.#spare.bytes.length < length) {
      const memory = new ArrayBuffer(LockedPages.memoryFor(length));
      this.#spare?.release();
      this.#spare = new LockedPages(memory);
    }
    this.#pending = { inode, offset, length, from, fromOffset };
  }

  /** Stores it. @throws Errno, CkptfsError as {@link WritableImage.write}: it waits and may be stored later */
  store(): void {
    if (this.#pending === undefined) return;
    const { inode, offset, length, from, fromOffset } = this.#pending;
    try {
      this.#image.writeReserved(inode, offset, length, from, fromOffset);
    } catch (error) {
      this.#isRefused = true;
      this.#image.unstored.setRefusedWrite(inode);
      throw error;
    }
    this.drop();
  }

  /**
   * Stores it and all else that waits, for the last time. What the store takes is made durable in any case.
   * @throws CkptfsError `io`, and others of {@link WritableImage.write}: it names each file of which something is lost
   */
  finish(): void {
    let failure = failureIn(() => this.store());
    let unsynced = failureIn(() => this.#image.sync());
    if (failure !== undefined && unsynced === undefined) {
      // Making the rest durable may have given space back.
      failure = failureIn(() => this.store());
      unsynced = failureIn(() => this.#image.sync());
    }
    const cause = unsynced ?? failure;
    if (cause === undefined) return;
    const files = this.#image.unstored.describe();
    if (files === undefined) throw cause;
    const lost = `what was written last to ${files} could not be stored and is lost`;
    throw cause.reworded(`${lost}: ${cause.message}`, { aftermath: { state: 'unsealed', lossy: true } });
  }

  /** Copies its bytes, unless that is done: the buffer of its request is about to be used again. */
  keep(): void {
    if (this.#pending === undefined || this.#spare === undefined || this.#isKept) return;
    const { from, fromOffset, length } = this.#pending;
    this.#spare.bytes.set(from.bytes.subarray(fromOffset, fromOffset + length));
    this.#pending.from = new Region(this.#spare.bytes);
    this.#pending.fromOffset = 0;
  }

  /** Gives up the part of it that is after the size that its file is about to get. */
  cut(size: number): void {
    if (this.#pending === undefined) return;
    this.#pending.length = Math.min(this.#pending.length, size - this.#pending.offset);
    if (this.#pending.length <= 0) this.drop();
  }

  /** Forgets it and wipes its copy: it is stored, or nothing needs it. */
  drop(): void {
    if (this.#spare !== undefined && this.#isKept) wipe(this.#spare.bytes);
    this.#pending = undefined;
    if (this.#isRefused) this.#image.unstored.setRefusedWrite(undefined);
    this.#isRefused = false;
  }

  get #isKept(): boolean {
    return this.#pending?.from.bytes.buffer === this.#spare?.bytes.buffer;
  }

  /** Wipes everything. The object must not be used afterwards. */
  close(): void {
    this.#pending = undefined;
    this.#spare?.release();
  }
}

/** Runs `action` and returns the failure that it threw, if it threw one. */
function failureIn(action: () => void): CkptfsError | undefined {
  try {
    action();
    return undefined;
  } catch (error) {
    if (error instanceof CkptfsError) return error;
    throw error;
  }
}
