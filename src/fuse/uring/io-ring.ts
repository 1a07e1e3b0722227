import { constants } from 'node:os';
import { errnoName } from '../../base/errno.ts';
import { CkptfsError } from '../../base/errors.ts';
import { closeDescriptor } from '../../base/linux/descriptors.ts';
import { enterRing, setUpRing } from '../../base/linux/io-uring.ts';
import { mapShared, unmap } from '../../base/linux/memory.ts';
import { lastErrno, Region } from '../../base/linux/native.ts';
import {
  IORING_ENTER_GETEVENTS,
  IORING_OFF_SQ_RING,
  IORING_OFF_SQES,
  IORING_SETUP_DEFER_TASKRUN,
  IORING_SETUP_SINGLE_ISSUER,
  IORING_SETUP_SQE128,
  io_uring_cqe,
  io_uring_params,
  io_uring_sqe,
} from './io-uring-abi.ts';
import { type RingGeometry, ringGeometry } from './ring-geometry.ts';

const { EINTR, EAGAIN, EBUSY } = constants.errno;

/** How often in a row the kernel may say that it is busy: it needs memory, and waits for it itself. */
const MAX_BUSY = 1000;

/** An io_uring of this thread: no other may use it. */
export class IoRing {
  /** What the last completion of {@link take} is about, as it was submitted, and its result: a negative errno or 0. */
  userData = 0;
  result = 0;

  readonly #fd: number;
  readonly #rings: Region;
  readonly #entries: Region;
  readonly #words: Int32Array;
  readonly #geometry: RingGeometry;
  readonly #submissionMask: number;
  readonly #completionMask: number;
  #submitted = 0;
  #completed: number;

  private constructor(fd: number, geometry: RingGeometry, rings: Region, entries: Region) {
    this.#fd = fd;
    this.#geometry = geometry;
    this.#rings = rings;
    this.#entries = entries;
    this.#words = new Int32Array(rings.bytes.buffer, rings.bytes.byteOffset, Math.floor(rings.length / 4));
    // Not what the kernel's memory says at the time, so that no number of it leads beyond these mappings.
    this.#submissionMask = geometry.submissionEntries - 1;
    this.#completionMask = geometry.completionEntries - 1;
    this.#completed = this.#words[geometry.completionHead / 4] ?? 0;
  }

  /**
   * Makes a ring for so many entries under way at a time.
   * @throws CkptfsError `missing-feature` when the kernel has none, or does not let this process have one
   */
  static open(entries: number): IoRing {
    const parameters = new Region(io_uring_params.sizeof);
    const flags = IORING_SETUP_SQE128 | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;
    parameters.view.setUint32(io_uring_params.flags, flags, true);
    const fd = setUpRing(entries, parameters);
    if (fd < 0) throw notAllowed(lastErrno());
    const mappings: Region[] = [];
    try {
      const geometry = ringGeometry(parameters.view);
      const rings = mapShared(fd, IORING_OFF_SQ_RING, geometry.ringsLength);
      mappings.push(rings);
      const submissions = mapShared(fd, IORING_OFF_SQES, geometry.entriesLength);
      mappings.push(submissions);
      return new IoRing(fd, geometry, rings, submissions);
    } catch (error) {
      mappings.forEach(unmap);
      closeDescriptor(fd);
      throw error;
    }
  }

  /**
   * Puts an entry, which the caller must fill, at the end of those that the next {@link enter} submits. There is always
   * room: no more are under way than the ring was made for.
   * @returns where in {@link submissions} it is; its bytes are zeros
   */
  add(): number {
    const { submissionTail, submissionArray } = this.#geometry;
    const tail = this.#words[submissionTail / 4] ?? 0;
    const index = tail & this.#submissionMask;
    const at = index * io_uring_sqe.sizeof;
    this.#entries.bytes.fill(0, at, at + io_uring_sqe.sizeof); // not secret: an entry of the ring
    this.#words[submissionArray / 4 + index] = index;
    Atomics.store(this.#words, submissionTail / 4, (tail + 1) | 0);
    this.#submitted++;
    return at;
  }

  /** The memory of the entries, for {@link add}. The kernel reads it in {@link enter} and at no other time. */
  get submissions(): DataView {
    return this.#entries.view;
  }

  /**
   * Submits what was added and collects completions.
   * @param wait waits until there is a completion; a signal may end that earlier
   * @throws CkptfsError `internal` when the kernel refuses
   */
  enter(wait: boolean): void {
    for (let busy = 0; ; busy++) {
      const count = enterRing(this.#fd, this.#submitted, wait ? 1 : 0, IORING_ENTER_GETEVENTS);
      if (count >= 0) {
        this.#submitted -= count;
        if (this.#submitted === 0 || count === 0) return;
        continue;
      }
      const errno = lastErrno();
      if (errno === EINTR) return;
      if ((errno !== EAGAIN && errno !== EBUSY) || busy === MAX_BUSY) {
        throw new CkptfsError('internal', `io_uring_enter failed with errno ${errno}`);
      }
    }
  }

  /** Takes the next completion into {@link userData} and {@link result}. Returns false when there is none. */
  take(): boolean {
    const { completionHead, completionTail, completions } = this.#geometry;
    if (Atomics.load(this.#words, completionTail / 4) === this.#completed) return false;
    const at = (completions + (this.#completed & this.#completionMask) * io_uring_cqe.sizeof) / 4;
    this.userData = this.#words[at + io_uring_cqe.user_data / 4] ?? 0;
    this.result = this.#words[at + io_uring_cqe.res / 4] ?? 0;
    this.#completed = (this.#completed + 1) | 0;
    Atomics.store(this.#words, completionHead / 4, this.#completed);
    return true;
  }

  /** Cancels what is under way. The kernel uses no memory of it afterwards. */
  close(): void {
    unmap(this.#rings);
    unmap(this.#entries);
    closeDescriptor(this.#fd);
  }
}

function notAllowed(errno: number): CkptfsError {
  return new CkptfsError('missing-feature', `the kernel refuses an io_uring: ${errnoName(errno) ?? errno}`, {
    data: { feature: 'io-uring' },
  });
}
