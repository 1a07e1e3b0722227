import { constants } from 'node:os';
import { errnoName } from '../../base/errno.ts';
import { CkptfsError } from '../../base/errors.ts';
import { MNT_DETACH } from '../../base/linux/mounts.ts';
import { FUSE_TYPE, unmount, unmountExactly } from '../../fuse/mount/mount-point.ts';
import { isScratch, type MountInfo } from '../../fuse/mount/mountinfo.ts';
import { reach } from '../../fuse/mount/reachable.ts';

/** Returns whether a mount is one of ckptfs: an image, or the overlay on one. */
export function isOwn({ fsType: type, source }: MountInfo): boolean {
  return type === FUSE_TYPE || isScratch({ fsType: type, source });
}

/** Returns the user id of the owner of a ckptfs mount: FUSE's option `user_id`; an overlay is always root's. */
export function ownerOf({ options }: MountInfo): number {
  return Number(options.find((option) => option.startsWith('user_id='))?.slice('user_id='.length) ?? 0);
}

/**
 * Returns the ckptfs mount at a directory. Does not touch the directory, as the mount may never answer.
 * @throws CkptfsError `not-mounted`; `no-answer` when a mount on the way to it does not answer
 */
export async function findOwnMount(directory: string): Promise<MountInfo> {
  const { path, mount: found } = await reach(directory);
  if (found !== undefined && isOwn(found)) return found;
  const what = found === undefined ? 'nothing is mounted there' : `a mount of type ${found.fsType} is there`;
  throw new CkptfsError('not-mounted', `${path} is not a mount of ckptfs: ${what}`, { path });
}

/** Unmounts a ckptfs mount. @throws CkptfsError `busy`, `not-mounted`, `mount-failed`, `missing-feature` */
export async function unmountOwn(found: MountInfo, lazy: boolean): Promise<void> {
  const { mountPoint: path } = found;
  if (!isScratch(found)) return unmount(path, { lazy });
  const errno = unmountExactly(path, lazy ? MNT_DETACH : 0);
  if (errno === 0) return;
  if (errno === constants.errno.EBUSY)
    throw new CkptfsError('busy', `${path} is in use`, { path, data: { reason: 'in-use' } });
  const reason = errno === constants.errno.EPERM ? 'that needs root' : (errnoName(errno) ?? errno);
  throw new CkptfsError('mount-failed', `cannot unmount ${path}: ${reason}`, { path });
}
