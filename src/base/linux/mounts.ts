import { bind, lastErrno } from './native.ts';
import { systemError } from './system-error.ts';

/** Mounts and unmounts. Flags are those of sys/mount.h. */

export const MS_RDONLY = 1;
export const MS_NOSUID = 2;
export const MS_NODEV = 4;
export const MS_NOEXEC = 8;
const MS_REC = 16384;
const MS_PRIVATE = 1 << 18;
const MS_SLAVE = 1 << 19;
export const MNT_DETACH = 2;
const UMOUNT_NOFOLLOW = 8;

const calls = {
  mount: bind('mount', 'int', ['str', 'str', 'str', 'ulong', 'str']),
  umount2: bind('umount2', 'int', ['str', 'int']),
} as const;

/** Calls mount(2). @returns 0, or the errno */
export function tryMount(source: string, target: string, type: string, flags: number, data: string): number {
  return calls.mount(source, target, type, flags, data) === 0 ? 0 : lastErrno();
}

/** Like {@link tryMount}. @throws Error in Node's shape */
export function mount(source: string, target: string, type: string, flags: number, data: string): void {
  const errno = tryMount(source, target, type, flags, data);
  if (errno !== 0) throw systemError('mount', errno);
}

/** Keeps mounts below a mount point from showing up elsewhere (mount_namespaces(7)). @throws Error */
export function makePrivate(mountPoint: string): void {
  mount('none', mountPoint, 'none', MS_PRIVATE, '');
}

/**
 * Keeps what happens to the mounts of this namespace from others, and not the other way round: what is unmounted there
 * is unmounted here as well, so that it is not kept by a copy.
 * @throws Error
 */
export function makeAllSlaves(): void {
  mount('none', '/', 'none', MS_SLAVE | MS_REC, '');
}

/**
 * Calls umount2(2), which does not follow a symbolic link at the end of the path.
 * @param flags in addition to UMOUNT_NOFOLLOW
 * @returns 0, or the errno
 */
export function tryUnmount(mountPoint: string, flags: number): number {
  return calls.umount2(mountPoint, UMOUNT_NOFOLLOW | flags) === 0 ? 0 : lastErrno();
}

/**
 * Unmounts what is mounted at a path; `lazy` takes the mount out of sight and lets it end with its last user.
 * @throws Error
 */
export function unmountPath(mountPoint: string, lazy: boolean): void {
  const errno = tryUnmount(mountPoint, lazy ? MNT_DETACH : 0);
  if (errno !== 0) throw systemError('umount2', errno);
}
