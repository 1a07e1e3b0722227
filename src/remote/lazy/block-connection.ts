import { CkptfsError } from '../../base/errors.ts';
import { Region } from '../../base/linux/native.ts';
import { receiveAll, sendAll, trySend } from '../../base/linux/stream-socket.ts';
import {
  ANSWER_HEAD_SIZE,
  type AnswerHead,
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
  /** The head of the first of them, if it came, and how many bytes came of what is next: that head, or the rest. */
  #answer: AnswerHead | undefined;
  #received = 0;
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

  /**
   * Receives the answer that comes next, or what is left of it. Returns the error that it has, if it has one.
   * @param to is filled with the block, unless some of that was received before
   */
  #receive(to: Region): CkptfsError | undefined {
    if (this.#isBroken) throw this.#gone();
    this.#answer ??= this.#receiveHead();
    const { fault, length } = this.#answer;
    this.#fill(fault === undefined ? to : this.#message, length);
    this.#answer = undefined;
    this.#owed.shift();
    if (fault === undefined) return undefined;
    const message = this.#message.bytes.toString('utf8', 0, length);
    const about = { path: this.#location };
    return fault === 'damaged' ? new CkptfsError('damaged', message, about) : new CkptfsError('io', message, about);
  }

  #receiveHead(): AnswerHead {
    this.#fill(this.#head, ANSWER_HEAD_SIZE);
    const head = decodeAnswerHead(this.#head.bytes, this.#owed[0] ?? 0);
    if (head === undefined) throw this.#gone();
    return head;
  }

  /** @throws CkptfsError `io` when the connection ends before; `interrupted` when it is given up, to be gone on with */
  #fill(to: Region, length: number): void {
    let isGivenUp = false;
    try {
      this.#received += receiveAll(this.#fd, to, this.#received, length - this.#received, () => {
        isGivenUp = this.#isGivenUp();
        return isGivenUp;
      });
    } catch (cause) {
      throw this.#gone(cause);
    }
    if (this.#received < length) throw isGivenUp ? this.#givenUp() : this.#gone();
    this.#received = 0;
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
