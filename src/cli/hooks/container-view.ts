import { CkptfsError, ioError } from '../../base/errors.ts';
import { type MountInfo, readMountsSync, topmostAt } from '../../fuse/mount/mountinfo.ts';
import type { ContainerState } from './container-state.ts';

/**
 * Checks that a container which is being created sees a mount that was just made: where the mount did not propagate,
 * the container would write into the bare directory. A container that is being restored has no mounts of its own yet,
 * so it is not checked.
 * @param mountPoint as in mount tables
 * @throws CkptfsError `mount-failed`; `io` when the container has ended
 */
export function checkSeen(mountPoint: string, { status, pid }: ContainerState): void {
  // What runc says of a container that it restores.
  if (status === 'stopped') return;
  if (pid === undefined) {
    const message = `the state of the container names no process, so nothing shows whether it sees ${mountPoint}`;
    throw new CkptfsError('mount-failed', message, { path: mountPoint });
  }
  if (isSeen(mountPoint, readMountsSync(), mountsOf(pid))) return;
  throw new CkptfsError(
    'mount-failed',
    `the container does not see the mount on ${mountPoint}: bind that directory into it with the option rslave, and ` +
      'from a mount that is shared',
    { path: mountPoint },
  );
}

/**
 * Tells whether a container sees a mount at a place of its own. Until it changes its root directory, it also sees the
 * host's directories where they are.
 */
export function isSeen(mountPoint: string, ours: readonly MountInfo[], theirs: readonly MountInfo[]): boolean {
  const device = topmostAt(ours, mountPoint)?.device;
  return theirs.some((mount) => mount.device === device && mount.mountPoint !== mountPoint);
}

function mountsOf(pid: number): MountInfo[] {
  try {
    return readMountsSync(pid);
  } catch (cause) {
    throw ioError('read', `/proc/${pid}/mountinfo`, cause);
  }
}
