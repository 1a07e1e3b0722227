import { realpath } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { CkptfsError, systemErrorName } from '../base/errors.ts';
import { fsType, unmount } from '../fuse/mount-point.ts';
import { type MountInfo, readMounts, topmostAt } from '../fuse/mountinfo.ts';
import { unmountPath } from './system-calls.ts';

/** The source that mount tables name for the overlay of a mount with scratch space. */
export const SCRATCH_SOURCE = 'ckptfs';

/** Whether a mount is one of ours: the image itself, or the overlay upon it. */
export function isOwn({ fsType: type, source }: MountInfo): boolean {
  return type === fsType || isScratch({ fsType: type, source });
}

export function isScratch({ fsType: type, source }: Pick<MountInfo, 'fsType' | 'source'>): boolean {
  return type === 'overlay' && source === SCRATCH_SOURCE;
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
  try {
    unmountPath(path, lazy);
  } catch (cause) {
    const name = systemErrorName(cause);
    if (name === 'EBUSY') throw new CkptfsError('busy', `${path} is in use`, { path, cause });
    const reason = name === 'EPERM' ? 'that needs root' : String(name);
    throw new CkptfsError('mount-failed', `cannot unmount ${path}: ${reason}`, { path, cause });
  }
}
