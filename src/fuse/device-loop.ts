import { constants } from 'node:os';
import { CkptfsError } from '../base/errors.ts';
import { bind, lastErrno, Region } from '../base/native.ts';
import { POLLS_DEVICE } from '../base/tuning.ts';
import { FUSE_MIN_READ_BUFFER } from './abi.ts';
import type { Connection } from './connection.ts';
import { cloneDevice, closeClones } from './device.ts';

const { EINTR, ENOENT, EAGAIN, ENODEV, EBADF, ECONNABORTED } = constants.errno;

/** Called directly: pread(2) of a cached page so took 200 ns, through fs.readSync 350. */
const readDevice = bind('read', 'long', ['int', 'uintptr_t', 'size_t']);
const writeDevice = bind('write', 'long', ['int', 'uintptr_t', 'size_t']);

/**
 * How long one thread of a mount asks for the next request before it sleeps: longer than a client takes to come back, short enough
 * not to matter. Against clones alone, random 4 KiB reads gained about a seventh with 1 reader and a fifth with 4 (medians of 3,
 * other work beside them, so no more than a direction); 100 µs brought no more.
 */
const SPIN_MILLISECONDS = 0.02;
/** Reading the clock costs as much as asking the device. */
const ASKS_PER_CLOCK = 4;

/** Shared by the threads of one mount: which of them is awake and asking, for more than one would take time from the clients. */
export class Turn {
  readonly #taken: Int32Array;

  /** @param memory 4 bytes, shared if other threads serve the same mount */
  constructor(memory: SharedArrayBuffer = new SharedArrayBuffer(4)) {
    this.#taken = new Int32Array(memory);
  }

  take(): boolean {
    return Atomics.compareExchange(this.#taken, 0, 0, 1) === 0;
  }

  give(): void {
    Atomics.store(this.#taken, 0, 0);
  }
}

/**
 * Serves one connection on an open /dev/fuse until the mount is gone: reads a request, answers it, and so on, blocking the
 * calling thread. Any number of threads may do so on one descriptor, each with a connection of its own; a request goes to
 * one of them. Returns once the file system is unmounted or its connection aborted, with the reply memory wiped.
 * @param turn the same memory for all threads of a mount
 * @throws CkptfsError `internal` when the device fails in a way that it never should
 */
export function serve(fd: number, connection: Connection, turn: Turn = new Turn()): void {
  const request = new Region(connection.maxTransfer + FUSE_MIN_READ_BUFFER);
  const device = cloneDevice(fd);
  try {
    while (true) {
      let from = device.waiting;
      let length = 0;
      if (POLLS_DEVICE && device.polling !== undefined && turn.take()) {
        try {
          length = ask(device.polling, request);
        } finally {
          turn.give();
        }
        if (length > 0) from = device.polling;
      }
      if (length === 0) length = next(from, request);
      if (length < 0) return;
      const replyLength = length === 0 ? 0 : connection.handle(request, length);
      if (replyLength > 0) reply(from, connection, replyLength);
      connection.settle();
    }
  } finally {
    closeClones(device, fd);
    connection.wipe();
    request.bytes.fill(0);
  }
}

/** Asks for a request for a short while. Returns its length, 0 when none came. */
function ask(fd: number, request: Region): number {
  const end = performance.now() + SPIN_MILLISECONDS;
  for (let asked = 1; ; asked++) {
    const length = next(fd, request);
    if (length !== 0) return length;
    if (asked % ASKS_PER_CLOCK === 0 && performance.now() > end) return 0;
  }
}

/**
 * Reads a request. Returns its length; 0 to read again (ENOENT: it was interrupted before we could take it); less when the mount
 * is gone.
 */
function next(fd: number, request: Region): number {
  const length = readDevice(fd, request.address, request.length);
  if (length > 0) return length;
  if (length === 0) return -1;
  const errno = lastErrno();
  if (errno === EINTR || errno === ENOENT || errno === EAGAIN) return 0;
  if (errno === ENODEV || errno === EBADF || errno === ECONNABORTED) return -1;
  throw new CkptfsError('internal', `reading requests from the FUSE device failed with errno ${errno}`);
}

/**
 * Hands a reply to the kernel. ENOENT: nobody waits for it any more. A mount that is gone shows at the next read. A reply
 * that the kernel refuses would leave its caller waiting for ever, so that one is answered with EIO.
 */
function reply(fd: number, connection: Connection, length: number): void {
  if (writeDevice(fd, connection.reply.address, length) >= 0) return;
  const errno = lastErrno();
  if (errno === ENOENT || errno === ENODEV || errno === EBADF || errno === ECONNABORTED) return;
  const fault = new CkptfsError('internal', `the kernel refused a reply of ${length} bytes with errno ${errno}`);
  writeDevice(fd, connection.reply.address, connection.fail(fault));
}
