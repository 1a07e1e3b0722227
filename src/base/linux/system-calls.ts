import { constants } from 'node:os';
import { CkptfsError } from '../errors.ts';
import { bind, lastErrno, Region } from './native.ts';
import { cString, systemError } from './posix.ts';

/** Linux calls that Node has no function for. Flags are those of sys/mount.h, fcntl.h and sched.h. */

export const MS_NOSUID = 2;
export const MS_NODEV = 4;
export const MS_NOEXEC = 8;
const MS_REC = 16384;
const MS_PRIVATE = 1 << 18;
export const MNT_DETACH = 2;
const UMOUNT_NOFOLLOW = 8;
const F_DUPFD = 0;
const F_SETFD = 2;
const FD_CLOEXEC = 1;
const CLONE_NEWNS = 0x20000;
const CLONE_FS = 0x200;

const calls = {
  mount: bind('mount', 'int', ['str', 'str', 'str', 'ulong', 'str']),
  umount2: bind('umount2', 'int', ['str', 'int']),
  dup2: bind('dup2', 'int', ['int', 'int']),
  fcntl: bind('fcntl', 'int', ['int', 'int', 'int']),
  unshare: bind('unshare', 'int', ['int']),
  setns: bind('setns', 'int', ['int', 'int']),
  fchdir: bind('fchdir', 'int', ['int']),
  chroot: bind('chroot', 'int', ['str']),
  waitpid: bind('waitpid', 'int', ['int', 'uintptr_t', 'int']),
  execve: bind('execve', 'int', ['str', 'uintptr_t', 'uintptr_t']),
} as const;

/** mount(2). @throws Error in Node's shape, with `code` */
export function mount(source: string, target: string, type: string, flags: number, data: string): void {
  if (calls.mount(source, target, type, flags, data) !== 0) throw systemError('mount');
}

/** Keeps mounts below a mount point from showing up elsewhere (mount_namespaces(7)). @throws Error */
export function makePrivate(mountPoint: string, recursive: boolean): void {
  mount('none', mountPoint, 'none', MS_PRIVATE | (recursive ? MS_REC : 0), '');
}

/** umount2(2); `lazy` takes the mount out of sight and lets it end when nobody uses it any more. @throws Error */
export function unmountPath(mountPoint: string, lazy: boolean): void {
  if (calls.umount2(mountPoint, UMOUNT_NOFOLLOW | (lazy ? MNT_DETACH : 0)) !== 0) throw systemError('umount2');
}

/** From now on what this process says on standard output and error goes to an open file. */
export function redirectOutput(fd: number): void {
  for (const standard of [1, 2]) if (calls.dup2(fd, standard) < 0) throw systemError('dup2');
}

/**
 * Gives this process mounts of its own, a copy of those there are, of which no change gets out or in. Holds for the calling thread and
 * the processes and threads it starts from now on.
 * @throws CkptfsError `missing-feature` without the right to
 */
export function enterPrivateMountNamespace(): void {
  if (calls.unshare(CLONE_NEWNS) !== 0) {
    const allowed = lastErrno() !== constants.errno.EPERM;
    throw new CkptfsError('missing-feature', `a mount namespace cannot be made: ${systemError('unshare').message}`, {
      data: { feature: allowed ? 'mount-namespace' : 'mount-namespace-right' },
    });
  }
  makePrivate('/', true);
}

/** Changes root and working directory to an open directory, for all threads that share them with this one. @throws Error */
export function changeRoot(directory: number): void {
  if (calls.fchdir(directory) !== 0 || calls.chroot('.') !== 0) throw systemError('chroot');
}

/**
 * Takes the calling thread into a mount namespace. The kernel then sets root and working directory to the root of that namespace, so both
 * are set again. Needs root. @param root @param directory of descriptors opened there @throws Error
 */
export function enterMountNamespace(namespace: number, root: number, directory: number): void {
  // Threads that were started since share root and working directory with this one, and the kernel then refuses.
  if (calls.unshare(CLONE_FS) !== 0) throw systemError('unshare');
  if (calls.setns(namespace, CLONE_NEWNS) !== 0) throw systemError('setns');
  changeRoot(root);
  if (calls.fchdir(directory) !== 0) throw systemError('fchdir');
}

/**
 * Replaces this process by another program, which inherits standard input, output and errors, `inherited` as descriptors 3 and on, and
 * what else is not marked to be closed. Returns only by throwing.
 */
export function replaceProcess(
  program: string,
  args: readonly string[],
  environment: Readonly<Record<string, string>>,
  inherited: readonly number[],
): never {
  const argv = new StringVector([program, ...args]);
  const envp = new StringVector(Object.entries(environment).map(([name, value]) => `${name}=${value}`));
  // Out of the way first, for any of them may have the number that another one is to get.
  const aside = inherited.map((fd) => calls.fcntl(fd, F_DUPFD, 3 + inherited.length));
  // These numbers may be Node's own descriptors: nothing of Node may run from here on.
  for (const [at, fd] of aside.entries()) if (calls.dup2(fd, 3 + at) < 0) throw systemError('dup2');
  for (const fd of aside) calls.fcntl(fd, F_SETFD, FD_CLOEXEC);
  for (const fd of [0, 1, 2]) calls.fcntl(fd, F_SETFD, 0);
  calls.execve(program, argv.address, envp.address);
  throw systemError('execve');
}

/**
 * Waits until a child that Node knows nothing of has ended.
 * @param pid -1 for any child
 * @returns its exit code, 128 and the number of the signal that ended it; undefined when there is no such child
 */
export function waitForChild(pid: number): number | undefined {
  const status = new Region(4);
  while (calls.waitpid(pid, status.address, 0) < 0) {
    if (lastErrno() !== constants.errno.EINTR) return undefined;
  }
  const bits = status.view.getUint32(0, true);
  const signal = bits & 0x7f;
  return signal === 0 ? (bits >> 8) & 0xff : 128 + signal;
}

/** Strings as C takes argv and envp: an array of pointers with a null pointer at the end. */
class StringVector {
  readonly #strings: readonly Region[];
  readonly #pointers: Region;

  constructor(strings: readonly string[]) {
    this.#strings = strings.map((text) => cString(text));
    this.#pointers = new Region(8 * (strings.length + 1));
    for (const [at, { address }] of this.#strings.entries()) {
      this.#pointers.view.setBigUint64(8 * at, BigInt(address), true);
    }
  }

  get address(): number {
    return this.#pointers.address;
  }
}
