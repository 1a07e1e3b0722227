import { readlinkSync } from 'node:fs';
import { constants } from 'node:os';
import { CkptfsError } from '../errors.ts';
import { makeAllSlaves } from './mounts.ts';
import { bind, lastErrno } from './native.ts';
import { systemError } from './system-error.ts';

/** Mount namespaces, and the root directory of a process. Flags are those of sched.h. */

const CLONE_NEWNS = 0x20000;
const CLONE_FS = 0x200;
/** The host's own mount namespace, which never ends: MNT_NS_INIT_INO of linux/nsfs.h, since Linux 6.18. */
const INITIAL_NAMESPACE = `mnt:[${0xeffffff8}]`;

const calls = {
  unshare: bind('unshare', 'int', ['int']),
  setns: bind('setns', 'int', ['int', 'int']),
  fchdir: bind('fchdir', 'int', ['int']),
  chroot: bind('chroot', 'int', ['str']),
} as const;

/**
 * Returns whether the mount namespace of this process may end before the first process does.
 * @throws Error where /proc is not mounted
 */
export function mountNamespaceMayEnd(): boolean {
  const own = readlinkSync('/proc/self/ns/mnt');
  // The first process may have rights that this one lacks, and then does not tell its namespace.
  if (own === INITIAL_NAMESPACE) return false;
  try {
    return readlinkSync('/proc/1/ns/mnt') !== own;
  } catch {
    return true;
  }
}

/**
 * Gives this process mounts of its own, a copy of those there are, of which no change gets out. It holds for the
 * calling thread, and the processes and threads that it starts from now on.
 * @throws CkptfsError `missing-feature` without the right to
 */
export function enterPrivateMountNamespace(): void {
  if (calls.unshare(CLONE_NEWNS) !== 0) {
    const allowed = lastErrno() !== constants.errno.EPERM;
    throw new CkptfsError('missing-feature', `a mount namespace cannot be made: ${systemError('unshare').message}`, {
      data: { feature: allowed ? 'mount-namespace' : 'mount-namespace-right' },
    });
  }
  makeAllSlaves();
}

/**
 * Changes root and working directory to an open directory, for all threads that share them with this one.
 * @throws Error
 */
export function changeRoot(directory: number): void {
  if (calls.fchdir(directory) !== 0 || calls.chroot('.') !== 0) throw systemError('chroot');
}

/**
 * Takes the calling thread into a mount namespace. The kernel then sets root and working directory to the root of that
 * namespace, so both are set again. Needs root.
 * @param root opened in that namespace
 * @param directory the working directory, opened there as well
 * @throws Error
 */
export function enterMountNamespace(namespace: number, root: number, directory: number): void {
  // Threads that were started since share root and working directory with this one, and the kernel then refuses.
  if (calls.unshare(CLONE_FS) !== 0) throw systemError('unshare');
  if (calls.setns(namespace, CLONE_NEWNS) !== 0) throw systemError('setns');
  changeRoot(root);
  if (calls.fchdir(directory) !== 0) throw systemError('fchdir');
}
