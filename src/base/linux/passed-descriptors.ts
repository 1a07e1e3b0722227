import { constants } from 'node:os';
import { CkptfsError } from '../errors.ts';
import { bind, lastErrno, Region } from './native.ts';

/** Sockets between processes, and descriptors sent over them (unix(7)). */

const AF_UNIX = 1;
/** SOCK_STREAM and SOCK_SEQPACKET. */
const socketTypes = { stream: 1, packets: 5 } as const;
const SOCK_CLOEXEC = 0o2000000;
const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;
const SO_TYPE = 3;
const SO_PEERCRED = 17;
const MSG_CMSG_CLOEXEC = 0x40000000;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const SIZE_OF_UCRED = 12;

type SocketKind = keyof typeof socketTypes;

/** Fields of struct msghdr and struct cmsghdr on 64-bit Linux (socket.h). */
const msghdr = { iov: 16, iovlen: 24, control: 32, controllen: 40 } as const;
const cmsghdr = { len: 0, level: 8, type: 12, data: 16 } as const;

/** CMSG_LEN and CMSG_SPACE of one descriptor. */
const oneDescriptor = cmsghdr.data + 4;
const oneDescriptorSpace = cmsghdr.data + 8;

/** One piece of memory for all that recvmsg and sendmsg take, so that none of it can go before the call ends. */
const layout = { message: 0, vector: 56, data: 72, control: 80, controlLength: 64, sizeof: 144 } as const;

const socketpair = bind('socketpair', 'int', ['int', 'int', 'int', 'uintptr_t']);
const sendmsg = bind('sendmsg', 'long', ['int', 'uintptr_t', 'int']);
const getsockopt = bind('getsockopt', 'int', ['int', 'int', 'int', 'uintptr_t', 'uintptr_t']);
const recvmsg = bind('recvmsg', 'long', ['int', 'uintptr_t', 'int']);

/**
 * Two connected sockets, neither inherited by children unless asked for.
 * @param kind `packets` keeps the bytes of one write apart from those of the next
 * @throws CkptfsError `internal`
 */
export function socketPair(kind: SocketKind = 'stream'): [ours: number, theirs: number] {
  const pair = new Region(8);
  if (socketpair(AF_UNIX, socketTypes[kind] | SOCK_CLOEXEC, 0, pair.address) !== 0) {
    throw new CkptfsError('internal', `cannot make a pair of sockets: errno ${lastErrno()}`);
  }
  return [pair.view.getInt32(0, true), pair.view.getInt32(4, true)];
}

/**
 * The descriptor that another process has sent over a socket (unix(7), SCM_RIGHTS), or undefined when none has arrived.
 * Never waits: the sender is to have sent it before.
 */
export function receiveDescriptor(socket: number): number | undefined {
  const { view, address } = messageOfOneByte(layout.controlLength);
  let received: number;
  do {
    received = recvmsg(socket, address + layout.message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  } while (received < 0 && lastErrno() === constants.errno.EINTR);
  if (received <= 0) return undefined;
  const isDescriptor =
    view.getUint32(layout.message + msghdr.controllen, true) >= oneDescriptor &&
    view.getUint32(layout.control + cmsghdr.len, true) === oneDescriptor &&
    view.getInt32(layout.control + cmsghdr.level, true) === SOL_SOCKET &&
    view.getInt32(layout.control + cmsghdr.type, true) === SCM_RIGHTS;
  return isDescriptor ? view.getInt32(layout.control + cmsghdr.data, true) : undefined;
}

/** Sends a descriptor, with one byte; this process keeps its own. @throws CkptfsError `internal` when nobody is there to receive it */
export function sendDescriptor(socket: number, fd: number): void {
  const { view, address } = messageOfOneByte(oneDescriptorSpace);
  writePointer(view, layout.control + cmsghdr.len, oneDescriptor);
  view.setInt32(layout.control + cmsghdr.level, SOL_SOCKET, true);
  view.setInt32(layout.control + cmsghdr.type, SCM_RIGHTS, true);
  view.setInt32(layout.control + cmsghdr.data, fd, true);
  while (sendmsg(socket, address + layout.message, MSG_NOSIGNAL) < 0) {
    if (lastErrno() === constants.errno.EINTR) continue;
    throw new CkptfsError('internal', `cannot send a descriptor: errno ${lastErrno()}`);
  }
}

/** The pid of the process that made this pair of sockets, or connected this one, as the kernel has it (SO_PEERCRED). */
export function peerProcess(socket: number): number | undefined {
  return firstInt(socket, SO_PEERCRED, SIZE_OF_UCRED);
}

/** Whether an open file is a socket of that kind. */
export function isSocket(fd: number, kind: SocketKind): boolean {
  return firstInt(fd, SO_TYPE, 4) === socketTypes[kind];
}

/** The first int of a socket's option; undefined when it is no socket. */
function firstInt(socket: number, option: number, size: number): number | undefined {
  const value = new Region(size);
  const length = new Region(4);
  length.view.setUint32(0, size, true);
  if (getsockopt(socket, SOL_SOCKET, option, value.address, length.address) !== 0) return undefined;
  return value.view.getInt32(0, true);
}

/** A message of one byte with room for `controlLength` bytes that go along with it. */
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

/** A pointer or size_t below 2^53. */
function writePointer(view: DataView, at: number, value: number): void {
  view.setUint32(at, value, true);
  view.setUint32(at + 4, Math.floor(value / 0x1_0000_0000), true);
}
