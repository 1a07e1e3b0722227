import { closeSync, openSync, readlinkSync, writeFileSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { constants } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { errnoName, errnoNumber, isErrnoName } from '../../base/errno.ts';
import { CkptfsError, systemErrorName } from '../../base/errors.ts';
import { MNT_DETACH, tryUnmount } from '../../base/linux/mounts.ts';
import { O_PATH } from '../../base/linux/open-flags.ts';
import { unmountByHelper } from './fusermount.ts';
import { isScratch, type MountInfo } from './mountinfo.ts';
import { reach, reachWhole } from './reachable.ts';

/** Mount tables show the type `fuse.ckptfs`, which fstab and mount(8) accept as well. */
export const FUSE_SUBTYPE = 'ckptfs';
export const FUSE_TYPE = `fuse.${FUSE_SUBTYPE}`;

/** A directory that is held open. */
export interface HeldDirectory {
  /** Leads to it, for other processes as well, without a walk along its path. */
  readonly handle: string;
  close(): void;
}

/**
 * Holds a mount point open on which an automounter (autofs) waits for a mount; undefined for any other directory. While
 * a mount is being made there, the kernel lets only the process group of the automounter walk there, in which mount(8)
 * runs its helpers: all others wait until the mount is made. So a daemon that left that group would wait for itself.
 */
export async function holdAutomount(directory: string): Promise<HeldDirectory | undefined> {
  const { path, mount } = await reach(directory);
  if (mount?.fsType !== 'autofs') return undefined;
  // Without O_DIRECTORY, which would ask the automounter for the mount.
  const fd = openSync(path, O_PATH);
  return { handle: `/proc/${process.pid}/fd/${fd}`, close: () => closeSync(fd) };
}

/**
 * Returns the absolute path, without symbolic links, of a directory that can be mounted on.
 * @param handle leads to that directory, if another process holds it
 * @throws CkptfsError `already-mounted`, `mount-failed`, `no-answer`
 */
export async function checkedMountPoint(directory: string, handle?: string): Promise<string> {
  const { mount: found } = await reach(directory);
  refuseMounted(found);
  try {
    const mountPoint = await reachWhole(directory);
    const isDirectory = (await stat(handle ?? mountPoint)).isDirectory();
    // Looking at an automount has its automounter mount there.
    if (found?.fsType === 'autofs' && handle === undefined) refuseMounted((await reach(directory)).mount);
    if (isDirectory) return mountPoint;
  } catch (cause) {
    if (cause instanceof CkptfsError) throw cause;
    const reason =
      systemErrorName(cause) === 'ENOENT' ? 'does not exist' : `cannot be used: ${systemErrorName(cause) ?? cause}`;
    throw new CkptfsError('mount-failed', `the mount point ${directory} ${reason}`, { path: directory, cause });
  }
  throw new CkptfsError('mount-failed', `the mount point ${directory} is not a directory`, { path: directory });
}

/** @throws CkptfsError `already-mounted` */
function refuseMounted(mount: MountInfo | undefined): void {
  if (mount === undefined || !(mount.fsType === FUSE_TYPE || isScratch(mount))) return;
  const { mountPoint: path } = mount;
  throw new CkptfsError('already-mounted', `${path} has a mount of ckptfs already`, { path });
}

/** Finds the ckptfs mount at a directory. @throws CkptfsError `not-mounted`, `no-answer` */
export async function findMount(directory: string): Promise<MountInfo> {
  const { path: mountPoint, mount: found } = await reach(directory);
  if (found?.fsType === FUSE_TYPE) return found;
  const what = found === undefined ? 'no mount' : `a mount of type ${found.fsType}`;
  throw new CkptfsError('not-mounted', `${mountPoint} is ${what}, not a mount of ckptfs`, { path: mountPoint });
}

export interface UnmountOptions {
  /** Remove it from the tree at once and end it when its last user is gone, rather than fail when it is in use. */
  readonly lazy?: boolean;
}

/**
 * Unmounts a ckptfs mount, also one whose daemon has died. Never accesses the mount itself, so the daemon that serves
 * it may call this.
 * @throws CkptfsError `not-mounted`, `busy`, `mount-failed`, `missing-feature`
 */
export async function unmount(directory: string, { lazy = false }: UnmountOptions = {}): Promise<void> {
  const { mountPoint } = await findMount(directory);
  if (process.geteuid?.() !== 0) return unmountByHelper(mountPoint, lazy);
  const errno = unmountExactly(mountPoint, lazy ? MNT_DETACH : 0);
  if (errno === 0) return;
  if (errno === constants.errno.EBUSY)
    throw new CkptfsError('busy', `${mountPoint} is in use`, { path: mountPoint, data: { reason: 'in-use' } });
  if (errno === constants.errno.EPERM) return unmountByHelper(mountPoint, lazy);
  const reason = errnoName(errno) ?? errno;
  throw new CkptfsError('mount-failed', `cannot unmount ${mountPoint}: ${reason}`, { path: mountPoint });
}

/**
 * Unmounts by umount2(2) the mount that mount tables show at a path, and nothing else. A user who can rename a
 * directory above it could make the path lead elsewhere in the meantime, so the parent is held open and must be the one
 * that the path names.
 * @param flags of umount2, in addition to UMOUNT_NOFOLLOW
 * @returns 0, or the errno
 */
export function unmountExactly(mountPoint: string, flags: number): number {
  let parent: number;
  try {
    parent = openSync(dirname(mountPoint), O_PATH);
  } catch (cause) {
    const name = systemErrorName(cause) ?? '';
    return isErrnoName(name) ? errnoNumber(name) : constants.errno.EIO;
  }
  try {
    const held = `/proc/self/fd/${parent}`;
    if (readlinkSync(held) !== dirname(mountPoint)) return constants.errno.EXDEV;
    return tryUnmount(join(held, basename(mountPoint)), flags);
  } finally {
    closeSync(parent);
  }
}

/**
 * Sets the kernel's read-ahead for a mount, which no FUSE message can raise above 128 KiB. Needs root.
 * @param device `MAJOR:MINOR`
 * @returns whether it could be set
 */
export function setReadAhead(device: string, kibibytes: number): boolean {
  try {
    writeFileSync(`/sys/class/bdi/${device}/read_ahead_kb`, String(kibibytes));
    return true;
  } catch {
    return false;
  }
}

/**
 * Escapes a value for an option string of libfuse, which splits it at commas and takes the character after a backslash
 * as it is.
 */
export function escapeOption(value: string): string {
  return value.replace(/[\\,]/g, '\\$&');
}
