import { constants } from 'node:os';
import { bind, lastErrno, type Region } from './native.ts';
import { MSG_NOSIGNAL } from './sockets.ts';
import { systemError } from './system-error.ts';

/** Bytes over a connected local socket, by calls that wait in this thread. Failures throw an Error in Node's shape. */

const calls = {
  send: bind('send', 'int64_t', ['int', 'uintptr_t', 'size_t', 'int']),
  recv: bind('recv', 'int64_t', ['int', 'uintptr_t', 'size_t', 'int']),
} as const;

const MSG_DONTWAIT = 0x40;
const { EINTR } = constants.errno;

/**
 * Sends all bytes of a region, and waits while the other end is slow to read.
 * @param isGivenUp is asked whenever a signal comes before the first of them was sent: true ends the waiting
 * @returns whether they were sent; none was when it was given up
 * @throws Error EPIPE when the other end is closed
 */
export function sendAll(fd: number, from: Region, isGivenUp: () => boolean = () => false): boolean {
  for (let done = 0; done < from.length; ) {
    const count = calls.send(fd, from.address + done, from.length - done, MSG_NOSIGNAL);
    if (count >= 0) done += count;
    else if (lastErrno() !== EINTR) throw systemError('send');
    else if (done === 0 && isGivenUp()) return false;
  }
  return true;
}

/**
 * Sends a few bytes unless the other end is slow to read, or gone. The kernel takes so few whole or not at all.
 * @returns whether they were sent
 */
export function trySend(fd: number, from: Region): boolean {
  return calls.send(fd, from.address, from.length, MSG_NOSIGNAL | MSG_DONTWAIT) === from.length;
}

/**
 * Receives `length` bytes, and waits for them.
 * @param isGivenUp is asked whenever a signal comes: true ends the waiting
 * @returns how many came: fewer when the other end is closed, or it was given up
 * @throws RangeError when they do not fit into the region; Error
 */
export function receiveAll(
  fd: number,
  to: Region,
  toOffset: number,
  length: number,
  isGivenUp: () => boolean = () => false,
): number {
  if (!(toOffset >= 0 && length >= 0 && toOffset + length <= to.length)) throw new RangeError('beyond the region');
  let done = 0;
  while (done < length) {
    const count = calls.recv(fd, to.address + toOffset + done, length - done, 0);
    if (count === 0) break;
    if (count > 0) done += count;
    else if (lastErrno() !== EINTR) throw systemError('recv');
    else if (isGivenUp()) break;
  }
  return done;
}
