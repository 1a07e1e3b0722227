import type { ConnectOpts, Socket, SocketConstructorOpts } from 'node:net';
import { wipe } from '../../base/wipe.ts';
import { offHeap } from '../../crypto/off-heap.ts';

/** Bytes that are dropped at a time. */
const DROPPED_SIZE = 4096;

/** How Node reads into memory of the caller. Its type declarations have it for sockets that are connected only. */
export type ReadOptions = SocketConstructorOpts & Pick<ConnectOpts, 'onread'>;

/**
 * Takes what a stream gives into memory of the caller, so that no copy of it is in buffers that Node makes. What does
 * not fit is dropped.
 */
export class Intake {
  readonly #into: Buffer;
  readonly #onData: () => void;
  readonly #dropped = offHeap(DROPPED_SIZE);
  #length = 0;

  /** @param onData is called after each piece */
  constructor(into: Buffer, onData: () => void) {
    this.#into = into;
    this.#onData = onData;
  }

  get length(): number {
    return this.#length;
  }

  /** The memory for the next piece. */
  get next(): Buffer {
    return this.isFull ? this.#dropped : this.#into.subarray(this.#length);
  }

  get isFull(): boolean {
    return this.#length === this.#into.length;
  }

  /** Says that `count` bytes were put into {@link next}. */
  took(count: number): void {
    if (this.isFull) wipe(this.#dropped);
    else this.#length += count;
    this.#onData();
  }

  /** Options for a stream of node:net or node:tty. */
  get options(): ReadOptions {
    const callback = (count: number): boolean => {
      this.took(count);
      return true;
    };
    return { readable: true, writable: false, onread: { buffer: () => this.next, callback } };
  }
}

/** Waits until a stream is closed, after closing it. */
export function closed(stream: Socket): Promise<void> {
  if (stream.closed) return Promise.resolve();
  return new Promise((resolve) => {
    stream.once('close', () => resolve()).destroy();
  });
}
