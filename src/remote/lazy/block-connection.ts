import { CkptfsError } from '../../base/errors.ts';
import { Region } from '../../base/linux/native.ts';
import { receiveAll, sendAll, trySend } from '../../base/linux/stream-socket.ts';
import {
  ANSWER_HEAD_SIZE,
  decodeAnswerHead,
  encodeRequest,
  MAX_MESSAGE_SIZE,
  REQUEST_SIZE,
  TOUCHED,
  WANT,
} from './protocol.ts';

/**
 * The connection of one thread to the process that fetches. The thread waits for answers, as it does for a disk.
 */
export class BlockConnection {
  readonly #fd: number;
  readonly #location: string;
  readonly #isGivenUp: () => boolean;
  readonly #request = new Region(REQUEST_SIZE);
  readonly #head = new Region(ANSWER_HEAD_SIZE);
  readonly #message = new Region(MAX_MESSAGE_SIZE);
  /** The packed sizes of blocks whose answers are still to come, in their order. */
  readonly #owed: number[] = [];
  #isBroken = false;

  /**
   * @param fd a connected socket over which it was said that it is for data; it stays the caller's
   * @param location names the image in messages
   * @param isGivenUp is asked when a signal comes: whether the thread must not wait any longer
   */
  constructor(fd: number, location: string, isGivenUp: () => boolean) {
    this.#fd = fd;
    this.#location = location;
    this.#isGivenUp = isGivenUp;
  }

  /**
   * Gets a packed block, which was compared with its digest, into the beginning of `to`.
   * @param packedSize its bytes
   * @throws CkptfsError `damaged` when the store has another one; `io` when it cannot be had
   */
  want(block: number, packedSize: number, to: Region): void {
    while (this.#owed.length > 0) this.#receive(to);
    this.#encode(WANT, block);
    this.#send();
    this.#owed.push(packedSize);
    const failure = this.#receive(to);
    if (failure !== undefined) throw failure;
  }

  /** Says that a block was found in the cache, if the process listens. */
  touched(block: number): void {
    this.#encode(TOUCHED, block);
    trySend(this.#fd, this.#request);
  }

  #send(): void {
    let isSent: boolean;
    try {
      isSent = sendAll(this.#fd, this.#request, this.#isGivenUp);
    } catch (cause) {
      throw this.#gone(cause);
    }
    if (!isSent) throw this.#givenUp();
  }

  #encode(operation: number, block: number): void {
    this.#request.bytes.set(encodeRequest({ operation, block }));
  }

  /** Receives the answer that comes next. Returns the error that it has, if it has one. */
  #receive(to: Region): CkptfsError | undefined {
    const size = this.#owed[0] ?? 0;
    if (this.#isBroken) throw this.#gone();
    if (this.#fill(this.#head, ANSWER_HEAD_SIZE, this.#isGivenUp) === 0) throw this.#givenUp();
    const head = decodeAnswerHead(this.#head.bytes, size);
    if (head === undefined) throw this.#gone();
    this.#fill(head.fault === undefined ? to : this.#message, head.length);
    this.#owed.shift();
    if (head.fault === undefined) return undefined;
    const message = this.#message.bytes.toString('utf8', 0, head.length);
    const about = { path: this.#location };
    return head.fault === 'damaged'
      ? new CkptfsError('damaged', message, about)
      : new CkptfsError('io', message, about);
  }

  /** @throws CkptfsError `io` when the connection ends before */
  #fill(to: Region, length: number, isGivenUp?: () => boolean): number {
    let count: number;
    let wasGivenUp = false;
    try {
      count = receiveAll(this.#fd, to, 0, length, () => {
        wasGivenUp = isGivenUp?.() ?? false;
        return wasGivenUp;
      });
    } catch (cause) {
      throw this.#gone(cause);
    }
    if (count === length || wasGivenUp) return count;
    throw this.#gone();
  }

  #givenUp(): CkptfsError {
    return new CkptfsError('interrupted', `${this.#location}: a block of it is waited for no longer`);
  }

  #gone(cause?: unknown): CkptfsError {
    this.#isBroken = true;
    const problem = 'the process that fetches it has ended, and what is not in the cache cannot be read';
    return new CkptfsError('io', `${this.#location}: ${problem}`, { path: this.#location, cause });
  }
}
