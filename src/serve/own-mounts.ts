import { realpath } from 'node:fs/promises';
import { constants } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { errnoName } from '../base/errno.ts';
import { CkptfsError } from '../base/errors.ts';
import { fsType, unmount, unmountExactly } from '../fuse/mount-point.ts';
import { type MountInfo, readMounts, topmostAt } from '../fuse/mountinfo.ts';
import { MNT_DETACH } from './system-calls.ts';

/** The source that mount tables name for the overlay of a mount with scratch space. */
export const SCRATCH_SOURCE = 'ckptfs';

/** Whether a mount is one of ours: the image itself, or the overlay upon it. */
export function isOwn({ fsType: type, source }: MountInfo): boolean {
  return type === fsType || isScratch({ fsType: type, source });
}

export function isScratch({ fsType: type, source }: Pick<MountInfo, 'fsType' | 'source'>): boolean {
  return type === 'overlay' && source === SCRATCH_SOURCE;
}

/** Whose mount of ours it is, as a user id: FUSE names who mounted as `user_id`; an overlay is always root's. */
export function ownerOf({ options }: MountInfo): number {
  return Number(options.find((option) => option.startsWith('user_id='))?.slice('user_id='.length) ?? 0);
}

/**
 * The mount of ours at a directory. Resolves only the directory's parent: the mount itself may never answer.
 * @throws CkptfsError `not-mounted`
 */
export async function findOwnMount(directory: string): Promise<MountInfo> {
  const absolute = resolve(directory);
  const parent = await realpath(dirname(absolute)).catch(() => dirname(absolute));
  const path = join(parent, basename(absolute));
  const found = topmostAt(await readMounts(), path);
  if (found !== undefined && isOwn(found)) return found;
  const what = found === undefined ? 'nothing is mounted there' : `a mount of type ${found.fsType} is there`;
  throw new CkptfsError('not-mounted', `${path} is no mount of ckptfs: ${what}`, { path });
}

/** @throws CkptfsError `busy`, `not-mounted`, `mount-failed`, `missing-feature` */
export async function unmountOwn(found: MountInfo, lazy: boolean): Promise<void> {
  const { mountPoint: path } = found;
  if (!isScratch(found)) return unmount(path, { lazy });
  const errno = unmountExactly(path, lazy ? MNT_DETACH : 0);
  if (errno === 0) return;
  if (errno === constants.errno.EBUSY) throw new CkptfsError('busy', `${path} is in use`, { path });
  const reason = errno === constants.errno.EPERM ? 'that needs root' : (errnoName(errno) ?? errno);
  throw new CkptfsError('mount-failed', `cannot unmount ${path}: ${reason}`, { path });
}
