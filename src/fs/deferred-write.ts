import { invariant } from '../base/assert.ts';
import { Region } from '../base/linux/native.ts';
import { wipe } from '../base/wipe.ts';
import { LockedPages } from '../crypto/locked-pages.ts';
import type { WriteReserved } from './reserving-file-system.ts';

/** Where the bytes of a write are, and where in which file they belong. */
interface Pending {
  readonly node: number;
  readonly offset: number;
  /** Bytes. */
  length: number;
  from: Region;
  fromOffset: number;
}

/**
 * Holds at most one write that was answered and is not stored yet. It borrows the buffer of the request until
 * {@link keep} copies the bytes into locked memory.
 */
export class DeferredWrite {
  #pending: Pending | undefined;
  /** Memory to keep the bytes in. It is taken before a write is deferred, so that keeping them cannot fail. */
  #spare: LockedPages | undefined;

  /** The file that it belongs to; undefined when there is no write. */
  get node(): number | undefined {
    return this.#pending?.node;
  }

  /** Returns the offset at which it ends, if it is a write to this file, and 0 otherwise. */
  endIn(node: number): number {
    return this.#pending?.node === node ? this.#pending.offset + this.#pending.length : 0;
  }

  /**
   * Takes a write over. There must be no other.
   * @throws RangeError when there is no memory: nothing is deferred
   */
  defer(node: number, offset: number, length: number, from: Region, fromOffset: number): void {
    invariant(this.#pending === undefined, 'W15', { inode: node });
    if (this.#spare === undefined || this.#spare.bytes.length < length) {
      const memory = new ArrayBuffer(LockedPages.memoryFor(length));
      this.#spare?.release();
      this.#spare = new LockedPages(memory);
    }
    this.#pending = { node, offset, length, from, fromOffset };
  }

  /**
   * Passes it to `write`, and forgets it when that returns.
   * @throws what `write` throws: it waits and may be stored later
   */
  store(write: WriteReserved): void {
    if (this.#pending === undefined) return;
    const { node, offset, length, from, fromOffset } = this.#pending;
    write(node, offset, length, from, fromOffset);
    this.drop();
  }

  /** Copies its bytes, unless that is done: the buffer of its request is about to be used again. */
  keep(): void {
    if (this.#pending === undefined || this.#spare === undefined || this.#isKept) return;
    const { from, fromOffset, length } = this.#pending;
    this.#spare.bytes.set(from.bytes.subarray(fromOffset, fromOffset + length));
    this.#pending.from = new Region(this.#spare.bytes);
    this.#pending.fromOffset = 0;
  }

  /** Gives up the part of it that is after the new end of its file. */
  cut(size: number): void {
    if (this.#pending === undefined) return;
    this.#pending.length = Math.min(this.#pending.length, size - this.#pending.offset);
    if (this.#pending.length <= 0) this.drop();
  }

  /** Forgets it and wipes its copy: it is stored, or nothing needs it. */
  drop(): void {
    if (this.#spare !== undefined && this.#isKept) wipe(this.#spare.bytes);
    this.#pending = undefined;
  }

  get #isKept(): boolean {
    return this.#pending?.from.bytes.buffer === this.#spare?.bytes.buffer;
  }

  /** Wipes everything. The object must not be used afterwards. */
  close(): void {
    this.#pending = undefined;
    this.#spare?.release();
    this.#spare = undefined;
  }
}
