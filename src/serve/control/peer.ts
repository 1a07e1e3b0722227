import fs from 'node:fs';
import { constants } from 'node:os';
import { bind, lastErrno, Region } from '../../base/linux/native.ts';
import { systemError } from '../../base/linux/posix.ts';

/** The process at the other end of a local socket, by the kernel's word (unix(7), SO_PEERCRED). */
export interface Peer {
  /** In this process's pid namespace; 0 when the peer is not visible there. */
  readonly pid: number;
  /** The effective user when it began to listen. */
  readonly uid: number;
}

const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const SOL_SOCKET = 1;
const SO_PEERCRED = 17;
/** struct sockaddr_un and struct ucred. */
const address = { family: 0, path: 2, sizeof: 110 } as const;
const credentials = { pid: 0, uid: 4, sizeof: 12 } as const;

const calls = {
  socket: bind('socket', 'int', ['int', 'int', 'int']),
  connect: bind('connect', 'int', ['int', 'uintptr_t', 'uint']),
  getsockopt: bind('getsockopt', 'int', ['int', 'int', 'int', 'uintptr_t', 'uintptr_t']),
} as const;

/**
 * Connects to a local socket without waiting: the kernel knows at once whether somebody listens. Not by net.connect,
 * which does not give the descriptor that the kernel can be asked about.
 * @param path shorter than 108 bytes
 * @returns a non-blocking descriptor, which the caller closes
 * @throws Error in Node's shape: ECONNREFUSED, ENOENT when nobody listens; EAGAIN when too many wait to be heard
 */
export function connectTo(path: string): number {
  const name = Buffer.from(path);
  if (address.path + name.length >= address.sizeof) throw systemError('connect', constants.errno.ENAMETOOLONG);
  const where = new Region(address.sizeof);
  where.view.setUint16(address.family, AF_UNIX, true);
  where.bytes.set(name, address.path);
  const fd = calls.socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) throw systemError('socket');
  for (;;) {
    if (calls.connect(fd, where.address, where.length) === 0) return fd;
    const errno = lastErrno();
    if (errno === constants.errno.EINTR) continue;
    fs.closeSync(fd);
    throw systemError('connect', errno);
  }
}

/** Says who listens at the other end of a connected socket. @throws Error */
export function peerOf(fd: number): Peer {
  const memory = new Region(credentials.sizeof + 4);
  memory.view.setUint32(credentials.sizeof, credentials.sizeof, true);
  const length = memory.address + credentials.sizeof;
  if (calls.getsockopt(fd, SOL_SOCKET, SO_PEERCRED, memory.address, length) !== 0) throw systemError('getsockopt');
  return { pid: memory.view.getInt32(credentials.pid, true), uid: memory.view.getUint32(credentials.uid, true) };
}

/**
 * Whether the kernel keeps a process from running, as far as this process may see: by SIGSTOP or a debugger, or because
 * its control group is frozen.
 * @param pid of this pid namespace; 0 for one that is not visible
 */
export function isStopped(pid: number): boolean {
  if (pid === 0) return false;
  // The name in parentheses may hold anything.
  const state = text(`/proc/${pid}/stat`).replace(/^.*\) /s, '')[0];
  return state === 'T' || state === 't' || isFrozen(text(`/proc/${pid}/cgroup`));
}

/** @param groups as in /proc/PID/cgroup (cgroups(7)) */
function isFrozen(groups: string): boolean {
  return groups.split('\n').some((line) => {
    const [, controllers, path] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (path === undefined) return false;
    if (controllers === '') {
      // The second is where both versions of control groups are used.
      const places = ['/sys/fs/cgroup', '/sys/fs/cgroup/unified'];
      return places.some((place) => /^frozen 1$/m.test(text(`${place}${path}/cgroup.events`)));
    }
    return controllers === 'freezer' && text(`/sys/fs/cgroup/freezer${path}/freezer.state`).startsWith('FROZEN');
  });
}

function text(path: string): string {
  try {
    return fs.readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
