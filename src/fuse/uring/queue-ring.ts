import { constants } from 'node:os';
import { CkptfsError } from '../../base/errors.ts';
import { discardPages, lockPages, mapPages, unlockPages } from '../../base/linux/memory.ts';
import { Region } from '../../base/linux/native.ts';
import { wipe } from '../../base/wipe.ts';
import { IoRing } from './io-ring.ts';
import { RingEntry } from './ring-entry.ts';
import { fillCommit, fillPoll, fillRegister } from './submissions.ts';

const { ENOTCONN, ECONNABORTED, ECANCELED } = constants.errno;

/** The number that says that a completion is of the poll of the device; entries have theirs from 0 on. */
const POLL = 0xffff;
/** A queue that no machine has. */
const NO_QUEUE = 0xffff;

/** How often in a row an entry may be lost before this counts as broken. */
const MAX_LOST = 16;

/**
 * Answers a request, which is in the memory of an entry.
 * @param index of the entry's queue in the list that {@link QueueRing.open} was given
 */
type AnswerEntry = (entry: RingEntry, index: number) => void;

/** The part of an io_uring that is used here. */
type Ring = Pick<IoRing, 'add' | 'submissions' | 'enter' | 'take' | 'userData' | 'result' | 'close'>;

/** A descriptor that is watched beside the queues, and what to do when it can be read: false ends the serving. */
export interface WatchedDevice {
  readonly fd: number;
  readonly read: () => boolean;
}

/**
 * Some of the queues of a mount, on an io_uring of this thread, with one entry each: a thread answers one request at a
 * time. The memory of requests and replies is locked, and left out of core dumps, as far as the system allows.
 */
export class QueueRing {
  readonly entries: readonly RingEntry[];
  readonly #fd: number;
  readonly #ring: Ring;
  readonly #memory: Region;
  /** The entries that got requests while they were registered. */
  readonly #arrived: number[] = [];
  #lost = 0;

  /**
   * @param fd the open /dev/fuse
   * @param ring for as many entries as there are queues, and one more for the poll of the device
   * @param memory of `RingEntry.memoryFor` bytes for each queue, from a page boundary on
   * @param capacity bytes of the largest READ, a multiple of the page size
   */
  constructor(fd: number, ring: Ring, memory: Region, queues: readonly number[], capacity: number) {
    const size = RingEntry.memoryFor(capacity);
    this.#fd = fd;
    this.#ring = ring;
    this.#memory = memory;
    this.entries = queues.map(
      (queue, index) => new RingEntry(queue, new Region(memory.bytes.subarray(index * size, (index + 1) * size))),
    );
  }

  /**
   * Makes a ring and the memory for its entries. The kernel knows of neither until {@link register}.
   * @throws CkptfsError `missing-feature`; Error when there is no memory
   */
  static open(fd: number, queues: readonly number[], capacity: number): QueueRing {
    const memory = mapPages(RingEntry.memoryFor(capacity) * queues.length);
    const ring = IoRing.open(queues.length + 1);
    lockPages(memory.address, memory.length);
    return new QueueRing(fd, ring, memory, queues, capacity);
  }

  /**
   * Offers all entries to the kernel, which uses them when it has those of all queues. FUSE_INIT must have been
   * answered. Returns false when it refuses one: then it uses none, and /dev/fuse for all requests.
   */
  register(): boolean {
    for (const index of this.entries.keys()) this.#submitRegister(index);
    this.#ring.enter(false);
    let isAccepted = true;
    while (this.#ring.take()) {
      // If these queues were the last ones, there may be requests already.
      if (this.#ring.result < 0) isAccepted = false;
      else this.#arrived.push(this.#ring.userData);
    }
    return isAccepted;
  }

  /** Makes the kernel use /dev/fuse for all requests, by the offer of a queue that it must refuse. */
  refuse(): void {
    const [entry] = this.entries;
    if (entry === undefined) return;
    const { vector } = entry;
    const at = this.#ring.add();
    fillRegister(this.#ring.submissions, at, this.#fd, { queue: NO_QUEUE, vector }, POLL);
    this.#ring.enter(false);
  }

  /**
   * Hands each request to `answer` and its reply to the kernel, until the mount is gone.
   * @throws CkptfsError `internal` when the kernel does not take the replies
   */
  serve(answer: AnswerEntry, device?: WatchedDevice): void {
    if (device !== undefined) this.#submitPoll(device.fd);
    for (const index of this.#arrived.splice(0)) this.#answer(index, answer);
    while (true) {
      this.#ring.enter(true);
      while (this.#ring.take()) {
        const { userData, result } = this.#ring;
        if (userData === POLL) {
          if (device === undefined || !device.read()) return;
          this.#submitPoll(device.fd);
        } else if (isGone(result)) {
          return;
        } else if (result < 0) {
          this.#recover(userData, result);
        } else {
          this.#lost = 0;
          this.#answer(userData, answer);
        }
      }
    }
  }

  /** Takes the entries back, wipes their memory, and gives it back. */
  close(): void {
    this.#ring.close();
    wipe(this.#memory.bytes);
    unlockPages(this.#memory.address, this.#memory.length);
    discardPages(this.#memory);
  }

  #answer(index: number, answer: AnswerEntry): void {
    const entry = this.#entry(index);
    answer(entry, index);
    fillCommit(this.#ring.submissions, this.#ring.add(), this.#fd, entry, index);
  }

  /** Offers the memory of an entry anew whose reply the kernel did not take: otherwise its queue would stand still. */
  #recover(index: number, result: number): void {
    if (++this.#lost > MAX_LOST) throw new CkptfsError('internal', `the kernel refuses replies with errno ${-result}`);
    this.#submitRegister(index);
  }

  #submitRegister(index: number): void {
    fillRegister(this.#ring.submissions, this.#ring.add(), this.#fd, this.#entry(index), index);
  }

  #submitPoll(fd: number): void {
    fillPoll(this.#ring.submissions, this.#ring.add(), fd, POLL);
  }

  #entry(index: number): RingEntry {
    const entry = this.entries[index];
    if (entry === undefined) throw new CkptfsError('internal', `a completion of an unknown entry ${index}`);
    return entry;
  }
}

function isGone(result: number): boolean {
  return result === -ENOTCONN || result === -ECONNABORTED || result === -ECANCELED;
}
