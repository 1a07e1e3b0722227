import { constants } from 'node:os';
import { CkptfsError } from '../base/errors.ts';
import { bind, lastErrno, Region } from '../base/native.ts';

const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SOCK_CLOEXEC = 0o2000000;
const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;
const MSG_CMSG_CLOEXEC = 0x40000000;
const MSG_DONTWAIT = 0x40;

/** Fields of struct msghdr and struct cmsghdr on 64-bit Linux (socket.h). */
const msghdr = { iov: 16, iovlen: 24, control: 32, controllen: 40 } as const;
const cmsghdr = { len: 0, level: 8, type: 12, data: 16 } as const;

/** One piece of memory for all that recvmsg takes, so that none of it can go before the call ends. */
const layout = { message: 0, vector: 56, data: 72, control: 80, controlLength: 64, sizeof: 144 } as const;

const socketpair = bind('socketpair', 'int', ['int', 'int', 'int', 'uintptr_t']);
const recvmsg = bind('recvmsg', 'long', ['int', 'uintptr_t', 'int']);

/** Two connected sockets, neither inherited by children unless asked for. @throws CkptfsError `internal` */
export function socketPair(): [ours: number, theirs: number] {
  const pair = new Region(8);
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair.address) !== 0) {
    throw new CkptfsError('internal', `cannot make a pair of sockets: errno ${lastErrno()}`);
  }
  return [pair.view.getInt32(0, true), pair.view.getInt32(4, true)];
}

/**
 * The descriptor that another process has sent over a socket (unix(7), SCM_RIGHTS), or undefined when none has arrived.
 * Never waits: the sender is to have exited before.
 */
export function receiveDescriptor(socket: number): number | undefined {
  const memory = new Region(layout.sizeof);
  const { view, address } = memory;
  writePointer(view, layout.message + msghdr.iov, address + layout.vector);
  writePointer(view, layout.message + msghdr.iovlen, 1);
  writePointer(view, layout.message + msghdr.control, address + layout.control);
  writePointer(view, layout.message + msghdr.controllen, layout.controlLength);
  writePointer(view, layout.vector, address + layout.data);
  writePointer(view, layout.vector + 8, 1);

  let received: number;
  do {
    received = recvmsg(socket, address + layout.message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  } while (received < 0 && lastErrno() === constants.errno.EINTR);
  if (received <= 0) return undefined;
  const oneDescriptor = cmsghdr.data + 4;
  const isDescriptor =
    view.getUint32(layout.message + msghdr.controllen, true) >= oneDescriptor &&
    view.getUint32(layout.control + cmsghdr.len, true) === oneDescriptor &&
    view.getInt32(layout.control + cmsghdr.level, true) === SOL_SOCKET &&
    view.getInt32(layout.control + cmsghdr.type, true) === SCM_RIGHTS;
  return isDescriptor ? view.getInt32(layout.control + cmsghdr.data, true) : undefined;
}

/** A pointer or size_t below 2^53. */
function writePointer(view: DataView, at: number, value: number): void {
  view.setUint32(at, value, true);
  view.setUint32(at + 4, Math.floor(value / 0x1_0000_0000), true);
}
