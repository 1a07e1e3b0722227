import { constants } from 'node:os';
import { CkptfsError } from '../errors.ts';
import { bind, lastErrno, Region } from './native.ts';
import { MSG_NOSIGNAL, SOL_SOCKET } from './sockets.ts';

/** Descriptors sent over sockets (unix(7)). */

const SCM_RIGHTS = 1;
const MSG_CMSG_CLOEXEC = 0x40000000;
const MSG_DONTWAIT = 0x40;

/** Fields of struct msghdr and struct cmsghdr on 64-bit Linux (socket.h). */
const msghdr = { iov: 16, iovlen: 24, control: 32, controllen: 40 } as const;
const cmsghdr = { len: 0, level: 8, type: 12, data: 16 } as const;

/** CMSG_LEN and CMSG_SPACE of one descriptor. */
const ONE_DESCRIPTOR_BYTES = cmsghdr.data + 4;
const ONE_DESCRIPTOR_SPACE_BYTES = cmsghdr.data + 8;

/** One piece of memory for all that recvmsg and sendmsg take, so that none of it can go before the call ends. */
const layout = { message: 0, vector: 56, data: 72, control: 80, controlLength: 64, sizeof: 144 } as const;

const calls = {
  sendmsg: bind('sendmsg', 'long', ['int', 'uintptr_t', 'int']),
  recvmsg: bind('recvmsg', 'long', ['int', 'uintptr_t', 'int']),
} as const;

/**
 * Receives the descriptor that another process has sent over a socket (unix(7), SCM_RIGHTS), or undefined when none has
 * arrived. Never waits: the sender is to have sent it before.
 */
export function receiveDescriptor(socket: number): number | undefined {
  const { view, address } = messageOfOneByte(layout.controlLength);
  let received: number;
  do {
    received = calls.recvmsg(socket, address + layout.message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  } while (received < 0 && lastErrno() === constants.errno.EINTR);
  if (received <= 0) return undefined;
  const isDescriptor =
    view.getUint32(layout.message + msghdr.controllen, true) >= ONE_DESCRIPTOR_BYTES &&
    view.getUint32(layout.control + cmsghdr.len, true) === ONE_DESCRIPTOR_BYTES &&
    view.getInt32(layout.control + cmsghdr.level, true) === SOL_SOCKET &&
    view.getInt32(layout.control + cmsghdr.type, true) === SCM_RIGHTS;
  return isDescriptor ? view.getInt32(layout.control + cmsghdr.data, true) : undefined;
}

/**
 * Sends a descriptor, with one byte; this process keeps its own.
 * @throws CkptfsError `internal` when the other end is closed
 */
export function sendDescriptor(socket: number, fd: number): void {
  const { view, address } = messageOfOneByte(ONE_DESCRIPTOR_SPACE_BYTES);
  writePointer(view, layout.control + cmsghdr.len, ONE_DESCRIPTOR_BYTES);
  view.setInt32(layout.control + cmsghdr.level, SOL_SOCKET, true);
  view.setInt32(layout.control + cmsghdr.type, SCM_RIGHTS, true);
  view.setInt32(layout.control + cmsghdr.data, fd, true);
  while (calls.sendmsg(socket, address + layout.message, MSG_NOSIGNAL) < 0) {
    if (lastErrno() === constants.errno.EINTR) continue;
    throw new CkptfsError('internal', `cannot send a descriptor: errno ${lastErrno()}`);
  }
}

/** Makes a message of one byte with space for `controlLength` bytes that go along with it. */
function messageOfOneByte(controlLength: number): Region {
  const memory = new Region(layout.sizeof);
  const { view, address } = memory;
  writePointer(view, layout.message + msghdr.iov, address + layout.vector);
  writePointer(view, layout.message + msghdr.iovlen, 1);
  writePointer(view, layout.message + msghdr.control, address + layout.control);
  writePointer(view, layout.message + msghdr.controllen, controlLength);
  writePointer(view, layout.vector, address + layout.data);
  writePointer(view, layout.vector + 8, 1);
  return memory;
}

/** Writes a pointer or size_t below 2^53. */
function writePointer(view: DataView, offset: number, value: number): void {
  view.setUint32(offset, value, true);
  view.setUint32(offset + 4, Math.floor(value / 0x1_0000_0000), true);
}
