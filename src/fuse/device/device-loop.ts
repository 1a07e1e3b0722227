import { constants } from 'node:os';
import { CkptfsError } from '../../base/errors.ts';
import { readDevice, writeDevice, writeDeviceVector } from '../../base/linux/devices.ts';
import { lastErrno, Region } from '../../base/linux/native.ts';
import { POLLS_DEVICE } from '../../base/tuning.ts';
import { wipe } from '../../base/wipe.ts';
import { FUSE_MIN_READ_BUFFER } from '../protocol/abi.ts';
import type { Connection } from './connection.ts';
import { cloneDevice, closeClones } from './device.ts';

const { EINTR, ENOENT, EAGAIN, ENODEV, EBADF, ECONNABORTED } = constants.errno;

/**
 * How long one thread of a mount polls for the next request before it sleeps: longer than a client takes to send its
 * next request, and short enough not to matter. Compared with cloned descriptors alone, random 4 KiB reads gained about
 * a seventh with 1 reader and a fifth with 4 (medians of 3 on a busy machine, so only a direction); 100 µs gained no
 * more.
 */
const SPIN_MILLISECONDS = 0.02;
/** Reading the clock costs as much as polling once. */
const POLLS_PER_CLOCK = 4;

/**
 * Says which of the threads that serve one mount polls the device. Only one may: more of them would take processor time
 * from the clients.
 */
export class PollingToken {
  readonly #taken: Int32Array;

  /** @param memory 4 bytes, shared if other threads serve the same mount */
  constructor(memory: SharedArrayBuffer = new SharedArrayBuffer(4)) {
    this.#taken = new Int32Array(memory);
  }

  /** Takes the token; false when another thread has it. */
  tryTake(): boolean {
    return Atomics.compareExchange(this.#taken, 0, 0, 1) === 0;
  }

  release(): void {
    Atomics.store(this.#taken, 0, 0);
  }
}

/** The length of a request that was read; `again` when none was, and one may come; `gone` when the mount is gone. */
export type Received = number | 'again' | 'gone';

/**
 * Serves one connection on an open /dev/fuse until the mount is gone: reads a request, answers it, and so on, blocking
 * the calling thread. Any number of threads may serve one descriptor, each with a connection of its own; a request goes
 * to one of them. Returns when the file system is unmounted or its connection is aborted, with the reply memory wiped.
 * @param token over the same memory for all threads of a mount
 * @throws CkptfsError `internal` when the device fails in an unexpected way
 */
export function serve(fd: number, connection: Connection, token = new PollingToken()): void {
  const request = new Region(connection.maxTransfer + FUSE_MIN_READ_BUFFER);
  const device = cloneDevice(fd);
  try {
    while (true) {
      let from = device.waiting;
      let received: Received = device.polling === undefined ? 'again' : workAhead(device.polling, connection, request);
      if (received !== 'again') from = device.polling ?? from;
      else if (POLLS_DEVICE && device.polling !== undefined && token.tryTake()) {
        try {
          received = poll(device.polling, request);
        } finally {
          token.release();
        }
        if (received !== 'again') from = device.polling;
      }
      if (received === 'again') received = receive(from, request);
      if (received === 'gone') return;
      const replyLength = received === 'again' ? 0 : connection.handle(request, received);
      if (replyLength > 0) reply(from, connection, replyLength);
      connection.settle();
    }
  } finally {
    connection.wipe();
    wipe(request.bytes);
    closeClones(device, fd);
  }
}

/** Works ahead of requests, one small piece after another, until there is a request or nothing to do. */
function workAhead(fd: number, connection: Connection, request: Region): Received {
  while (connection.mayHaveWork) {
    const received = receive(fd, request);
    if (received !== 'again') return received;
    if (!connection.work()) break;
  }
  return 'again';
}

/** Asks a descriptor that never waits for a request, again and again for a short while. */
export function poll(fd: number, request: Region): Received {
  const end = performance.now() + SPIN_MILLISECONDS;
  for (let asked = 1; ; asked++) {
    const received = receive(fd, request);
    if (received !== 'again') return received;
    if (asked % POLLS_PER_CLOCK === 0 && performance.now() > end) return 'again';
  }
}

/** Reads a request. ENOENT means that the request was interrupted before it could be read. */
export function receive(fd: number, request: Region): Received {
  const length = readDevice(fd, request.address, request.length);
  if (length > 0) return length;
  if (length === 0) return 'gone';
  const errno = lastErrno();
  if (errno === EINTR || errno === ENOENT || errno === EAGAIN) return 'again';
  if (errno === ENODEV || errno === EBADF || errno === ECONNABORTED) return 'gone';
  throw new CkptfsError('internal', `reading requests from the FUSE device failed with errno ${errno}`);
}

/**
 * Sends a reply to the kernel. ENOENT means that no process waits for it any more; a mount that is gone shows at the
 * next read. A reply that the kernel refuses would leave its caller waiting for ever, so EIO is sent in its place.
 */
export function reply(fd: number, connection: Connection, length: number): void {
  const { vectorLength } = connection;
  const sent =
    vectorLength === 0
      ? writeDevice(fd, connection.reply.address, length)
      : writeDeviceVector(fd, connection.vector, vectorLength);
  if (sent >= 0) return;
  const errno = lastErrno();
  if (errno === ENOENT || errno === ENODEV || errno === EBADF || errno === ECONNABORTED) return;
  const fault = new CkptfsError('internal', `the kernel refused a reply of ${length} bytes with errno ${errno}`);
  writeDevice(fd, connection.reply.address, connection.fail(fault));
}
