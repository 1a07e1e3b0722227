import { constants } from 'node:os';
import { CkptfsError } from '../errors.ts';
import { closeDescriptor } from './descriptors.ts';
import { bind, lastErrno, Region } from './native.ts';
import { systemError } from './system-error.ts';

/** Local sockets (unix(7)). Constants are those of sys/socket.h, as Linux has them on every processor Node runs on. */

const AF_UNIX = 1;
/** SOCK_STREAM and SOCK_SEQPACKET. */
const SOCKET_TYPES = { stream: 1, packets: 5 } as const;
const SOCK_DGRAM = 2;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
export const SOL_SOCKET = 1;
export const MSG_NOSIGNAL = 0x4000;
const SO_TYPE = 3;
const SO_PEERCRED = 17;
const SO_SNDTIMEO = 21;

/** struct sockaddr_un and struct ucred. */
const ADDRESS = { family: 0, path: 2, sizeof: 110 } as const;
const CREDENTIALS = { pid: 0, uid: 4, sizeof: 12 } as const;

const calls = {
  socket: bind('socket', 'int', ['int', 'int', 'int']),
  socketpair: bind('socketpair', 'int', ['int', 'int', 'int', 'uintptr_t']),
  connect: bind('connect', 'int', ['int', 'uintptr_t', 'uint']),
  getsockopt: bind('getsockopt', 'int', ['int', 'int', 'int', 'uintptr_t', 'uintptr_t']),
  setsockopt: bind('setsockopt', 'int', ['int', 'int', 'int', 'uintptr_t', 'uint32_t']),
  sendto: bind('sendto', 'int64_t', ['int', 'uintptr_t', 'size_t', 'int', 'uintptr_t', 'uint32_t']),
} as const;

type SocketKind = keyof typeof SOCKET_TYPES;

/** The process at the other end of a local socket, as the kernel has it (SO_PEERCRED). */
export interface Peer {
  /** In this process's pid namespace; 0 when the peer is not visible there. */
  readonly pid: number;
  /** The effective user when it made the pair, connected or began to listen. */
  readonly uid: number;
}

/**
 * Makes two connected sockets, neither inherited by children unless asked for.
 * @param kind `packets` keeps the bytes of one write apart from those of the next
 * @throws CkptfsError `internal`
 */
export function socketPair(kind: SocketKind = 'stream'): [ours: number, theirs: number] {
  const pair = new Region(8);
  if (calls.socketpair(AF_UNIX, SOCKET_TYPES[kind] | SOCK_CLOEXEC, 0, pair.address) !== 0) {
    throw new CkptfsError('internal', `cannot make a pair of sockets: errno ${lastErrno()}`);
  }
  return [pair.view.getInt32(0, true), pair.view.getInt32(4, true)];
}

/**
 * Connects to a local socket without waiting: the kernel knows at once whether a process listens. Not by net.connect,
 * which does not give the descriptor that the kernel can be asked about.
 * @param path shorter than 108 bytes
 * @returns a non-blocking descriptor, which the caller closes
 * @throws Error in Node's shape: ECONNREFUSED, ENOENT when no process listens; EAGAIN when too many wait to be heard
 */
export function connectTo(path: string): number {
  const address = socketAddress(Buffer.from(path));
  const fd = calls.socket(AF_UNIX, SOCKET_TYPES.stream | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) throw systemError('socket');
  for (;;) {
    if (calls.connect(fd, address.address, ADDRESS.sizeof) === 0) return fd;
    const errno = lastErrno();
    if (errno === constants.errno.EINTR) continue;
    closeDescriptor(fd);
    throw systemError('connect', errno);
  }
}

/** Says which process is at the other end of a connected socket. @throws Error */
export function peerOf(fd: number): Peer {
  const { view } = socketOption(fd, SO_PEERCRED, CREDENTIALS.sizeof);
  return { pid: view.getInt32(CREDENTIALS.pid, true), uid: view.getUint32(CREDENTIALS.uid, true) };
}

/** Returns whether an open file is a socket of that kind. */
export function isSocket(fd: number, kind: SocketKind): boolean {
  try {
    return socketOption(fd, SO_TYPE, 4).view.getInt32(0, true) === SOCKET_TYPES[kind];
  } catch {
    return false;
  }
}

/**
 * Sends one datagram, without a connection.
 * @param path of the socket as bytes; a name in the abstract namespace begins with a NUL
 * @param seconds how long a receiver that does not read may hold up the caller
 * @throws Error in Node's shape
 */
export function sendDatagram(path: Uint8Array, datagram: Uint8Array, seconds: number): void {
  const address = socketAddress(path);
  const socket = calls.socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (socket < 0) throw systemError('socket');
  try {
    const timeout = new Region(Buffer.from(new BigInt64Array([BigInt(seconds), 0n]).buffer));
    calls.setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, timeout.address, timeout.length);
    const bytes = new Region(datagram);
    // A name in the abstract namespace ends with the address, a path with a NUL.
    const length = ADDRESS.path + path.length + (path[0] === 0 ? 0 : 1);
    let sent: number;
    do sent = calls.sendto(socket, bytes.address, bytes.length, MSG_NOSIGNAL, address.address, length);
    while (sent < 0 && lastErrno() === constants.errno.EINTR);
    if (sent < 0) throw systemError('sendto');
  } finally {
    closeDescriptor(socket);
  }
}

/** Makes a sockaddr_un, filled up with NULs. @throws Error ENAMETOOLONG */
function socketAddress(path: Uint8Array): Region {
  const isAbstract = path[0] === 0;
  if (ADDRESS.path + path.length + (isAbstract ? 0 : 1) > ADDRESS.sizeof) {
    throw systemError('socket', constants.errno.ENAMETOOLONG);
  }
  const address = new Region(ADDRESS.sizeof);
  address.view.setUint16(ADDRESS.family, AF_UNIX, true);
  address.bytes.set(path, ADDRESS.path);
  return address;
}

/** Reads an option of a socket. @throws Error ENOTSOCK */
function socketOption(socket: number, option: number, size: number): Region {
  const value = new Region(size);
  const length = new Region(4);
  length.view.setUint32(0, size, true);
  if (calls.getsockopt(socket, SOL_SOCKET, option, value.address, length.address) !== 0) {
    throw systemError('getsockopt');
  }
  return value;
}
