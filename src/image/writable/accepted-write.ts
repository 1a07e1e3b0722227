import { CkptfsError } from '../../base/errors.ts';
import { Region } from '../../base/linux/native.ts';
import { LockedPages } from '../../crypto/locked-pages.ts';
import { wipe } from '../../crypto/wipe.ts';
import type { WritableImage } from './writable-image.ts';

/** Where a write's bytes are, and where in which file they belong. */
interface Pending {
  readonly inode: number;
  readonly offset: number;
  /** Bytes. */
  length: number;
  from: Region;
  fromOffset: number;
}

/** The one write that was accepted and is not stored yet, if there is one: first where whoever asked for it put its bytes, then in memory of its own. */
export class AcceptedWrite {
  readonly #image: WritableImage;
  #pending: Pending | undefined;
  /** Whether its file is marked for it as lost. */
  #isRefused = false;
  /** Room to keep it in: made before anything is accepted, so that nothing can fail then. */
  #spare: LockedPages | undefined;

  constructor(image: WritableImage) {
    this.#image = image;
  }

  get inode(): number | undefined {
    return this.#pending?.inode;
  }

  /** Where in its file it ends; 0 for what is not its file. Bytes. */
  endIn(inode: number): number {
    return this.#pending?.inode === inode ? this.#pending.offset + this.#pending.length : 0;
  }

  /** Takes a write over, for which room was made. There must be no other. @throws RangeError without memory for it: nothing was accepted */
  accept(inode: number, offset: number, length: number, from: Region, fromOffset: number): void {
    if (this.#spare === undefined || this.#spare.bytes.length < length) {
      const memory = new ArrayBuffer(LockedPages.memoryFor(length));
      this.#spare?.release();
      this.#spare = new LockedPages(memory);
    }
    this.#pending = { inode, offset, length, from, fromOffset };
  }

  /** @throws FileError, CkptfsError as {@link WritableImage.write}: it may be tried again */
  store(): void {
    if (this.#pending === undefined) return;
    const { inode, offset, length, from, fromOffset } = this.#pending;
    try {
      this.#image.writeClaimed(inode, offset, length, from, fromOffset);
    } catch (error) {
      this.#isRefused = true;
      this.#image.unstored.setRefusedWrite(inode);
      throw error;
    }
    this.drop();
  }

  /**
   * Stores it, and all else that waits, now or never; what can be stored is made durable in any case.
   * @throws CkptfsError which names every file of which something is lost, and says why
   */
  finish(): void {
    let failure = failureIn(() => this.store());
    let unsynced = failureIn(() => this.#image.sync());
    if (failure !== undefined && unsynced === undefined) {
      // Making the rest durable may have given room back.
      failure = failureIn(() => this.store());
      unsynced = failureIn(() => this.#image.sync());
    }
    const cause = unsynced ?? failure;
    if (cause === undefined) return;
    const files = this.#image.unstored.describe();
    if (files === undefined) throw cause;
    const lost = `what was written last to ${files} could not be stored and is lost`;
    throw new CkptfsError(cause.code, `${lost}: ${cause.message}`, {
      advice: 'Run "ckptfs recover", which makes the rest usable.',
      cause: cause.cause,
    });
  }

  /** Copies its bytes, if that is not done: where they are, others are about to be. */
  keep(): void {
    if (this.#pending === undefined || this.#spare === undefined || this.#isKept) return;
    const { from, fromOffset, length } = this.#pending;
    this.#spare.bytes.set(from.bytes.subarray(fromOffset, fromOffset + length));
    this.#pending.from = new Region(this.#spare.bytes);
    this.#pending.fromOffset = 0;
  }

  /** Gives up what of it lies behind a size that its file is about to get. */
  cut(size: number): void {
    if (this.#pending === undefined) return;
    this.#pending.length = Math.min(this.#pending.length, size - this.#pending.offset);
    if (this.#pending.length <= 0) this.drop();
  }

  /** Gives it up. */
  drop(): void {
    if (this.#spare !== undefined && this.#isKept) wipe(this.#spare.bytes);
    this.#pending = undefined;
    if (this.#isRefused) this.#image.unstored.setRefusedWrite(undefined);
    this.#isRefused = false;
  }

  get #isKept(): boolean {
    return this.#pending?.from.bytes.buffer === this.#spare?.bytes.buffer;
  }

  /** Wipes it; it must not be used afterwards. */
  close(): void {
    this.#pending = undefined;
    this.#spare?.release();
  }
}

function failureIn(action: () => void): CkptfsError | undefined {
  try {
    action();
    return undefined;
  } catch (error) {
    if (error instanceof CkptfsError) return error;
    throw error;
  }
}
