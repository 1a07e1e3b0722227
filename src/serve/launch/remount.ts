import { CkptfsError } from '../../base/errors.ts';
import type { Secret } from '../../crypto/secret.ts';
import { escapeOption } from '../../fuse/mount/mount-point.ts';
import type { DaemonStatus } from '../control/control-messages.ts';
import { listMounts } from '../control/status.ts';
import { unmountImage } from '../control/umount.ts';
import { findOwnMount, ownerOf } from '../mounts/own-mounts.ts';
import { type BackgroundMountOptions, type MountHandle, mountImage } from './mount.ts';

/**
 * Returns the status of the daemon of a writable mount of this user. The daemon of another user is not believed,
 * because what it says of image, mount point and log would be opened with the rights of this process.
 * @throws CkptfsError `not-mounted`; `bad-argument` when the mount is another user's, or read-only; `missing-feature`
 *   when its daemon does not answer
 */
export async function findWriter(directory: string): Promise<DaemonStatus> {
  const found = await findOwnMount(directory);
  const { mountPoint, device } = found;
  const owner = ownerOf(found);
  if (owner !== process.geteuid?.()) {
    throw new CkptfsError('bad-argument', `${mountPoint} is a mount of user ${owner}, who alone can remount it`, {
      path: mountPoint,
    });
  }
  const daemon = (await listMounts()).find((mount) => mount.device === device && mount.state === 'serving')?.daemon;
  if (daemon === undefined) {
    throw new CkptfsError('missing-feature', `the daemon of ${mountPoint} does not answer`, {
      path: mountPoint,
      data: { feature: 'daemon-status' },
    });
  }
  if (daemon.ephemeral === true) {
    throw new CkptfsError('bad-argument', `${mountPoint} is ephemeral: what is on it is gone when it is unmounted`, {
      path: mountPoint,
    });
  }
  if (daemon.write) return { ...daemon, mountPoint };
  throw new CkptfsError('bad-argument', `${mountPoint} is mounted read-only already`, { path: mountPoint });
}

/**
 * Unmounts a writable mount, which seals its image, and mounts the image again read-only, at the same place with the
 * same options. In between nothing is mounted there.
 * @param imageKey must be unlocked before anything is unmounted; the caller wipes it
 * @throws as unmountImage; the message says when the image is sealed but could not be mounted again
 */
export async function remountSealed(
  writer: DaemonStatus,
  imageKey: Secret,
  { lease, origin }: Pick<BackgroundMountOptions, 'lease' | 'origin'> = {},
): Promise<MountHandle> {
  const { mountPoint, location, imageId, options } = writer;
  const { allowOther, allowRoot, noExec, fsName, cacheSize, pageFiles, logFile, logFormat } = options;
  await unmountImage(mountPoint);
  try {
    return await mountImage({
      location,
      mountPoint,
      imageKey,
      lease,
      origin,
      allowOther,
      allowRoot,
      cacheSize,
      pageFiles,
      logFormat,
      fuseOptions: [...(noExec ? ['noexec'] : []), `fsname=${escapeOption(fsName)}`],
      ...(logFile === undefined ? {} : { logFile }),
    });
  } catch (cause) {
    if (!(cause instanceof CkptfsError)) throw cause;
    throw cause.reworded(`image ${imageId} is sealed, but not mounted again: ${cause.message}`, {
      path: mountPoint,
      aftermath: { state: 'sealed-not-mounted', image: location, mountPoint },
    });
  }
}
