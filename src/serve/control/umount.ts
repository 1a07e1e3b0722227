import { existsSync } from 'node:fs';
import { Deadline } from '../../base/deadline.ts';
import { CkptfsError, fromPlainError } from '../../base/errors.ts';
import { isScratch, type MountInfo } from '../../fuse/mount/mountinfo.ts';
import { ask } from '../../fuse/mount/reachable.ts';
import { describeHolders } from '../mounts/holders.ts';
import { findOwnMount, unmountOwn } from '../mounts/own-mounts.ts';
import { withStateDirectories } from '../mounts/state-directory.ts';
import { type DaemonEnd, MountDaemon } from './mount-daemon.ts';

export interface UnmountOptions {
  /** Takes the mount out of sight now; it ends when no process uses it any more. */
  readonly lazy?: boolean;
  /** Unmounts only a mount that mount tables show with this source. */
  readonly source?: string;
}

export interface UnmountResult {
  /** An absolute path without symbolic links, as it was in mount tables. */
  readonly mountPoint: string;
  /**
   * Whether the daemon has wiped keys and caches, or was dead already. False when a process still has the mount, out of
   * sight after a lazy unmount or in another mount namespace. The daemon then ends with the last such process.
   */
  readonly wiped: boolean;
  /**
   * Whether files could be changed. The image is then sealed, or, where `wiped` is false, will be when the daemon ends.
   */
  readonly write: boolean;
  /** Whether the image is removed in place of being sealed. */
  readonly ephemeral: boolean;
}

/** How long to wait for the daemon's answer before the mount is unmounted without one. */
const ANSWER_MILLISECONDS = 10_000;
/** The kernel takes less time to take down a mount that no other process has. */
const GONE_MILLISECONDS = 10_000;
/** A lazy unmount ends the daemon at once if no process uses the mount; otherwise at an unknown time. */
const LAZY_MILLISECONDS = 500;

/**
 * Unmounts a ckptfs mount, and waits until what was written is sealed and durable and the daemon has wiped keys and
 * caches. Also clears a mount whose daemon was killed.
 * @throws CkptfsError `not-mounted`. When it is still mounted: `busy`, which names the processes that use it;
 *   `mount-failed`, `missing-feature`. When it is unmounted and not sealed: `unsealed` if the daemon was killed; `busy`
 *   if a process has the mount in another namespace (unless `lazy`); otherwise the error that kept it from sealing,
 *   such as `io`. When it is unmounted and the daemon did not end: `no-answer`, because it is stopped, or is another
 *   user's and takes too long
 */
export async function unmountImage(mountPoint: string, options: UnmountOptions = {}): Promise<UnmountResult> {
  const { lazy = false, source } = options;
  const found = await findOwnMount(mountPoint);
  if (source !== undefined && found.source !== source) {
    throw new CkptfsError('not-mounted', `${found.mountPoint} is a mount of ${found.source}, not of ${source}`, {
      path: found.mountPoint,
    });
  }
  const write = isWritable(found);
  return withStateDirectories(async (directories) => {
    const daemon = await MountDaemon.find(directories, found, Deadline.after(ANSWER_MILLISECONDS));
    // If no daemon listens, the kernel says whether there is one.
    const isHidden =
      daemon === undefined && (await ask(found, Deadline.after(ANSWER_MILLISECONDS), { asOwner: true })) !== 'ended';
    try {
      await unmountAtAll(found, lazy, daemon);
      if (isHidden) throw hiddenDaemon(found);
      const end = daemon === undefined ? 'ended' : await endOf(daemon, found, lazy);
      if (end === 'stopped' || end === 'slow') throw noAnswer(found, daemon, end);
      const wiped = end === 'ended';
      if (write && wiped) checkSealed(found, daemon);
      if (write && !wiped && !lazy) throw stillUsed(found);
      return { mountPoint: found.mountPoint, wiped, write, ephemeral: daemon?.isEphemeral ?? false };
    } finally {
      daemon?.close();
    }
  });
}

/** Waits for the end of a daemon whose mount is gone, for as long as the daemon can be working on its end. */
async function endOf(daemon: MountDaemon, found: MountInfo, lazy: boolean): Promise<DaemonEnd> {
  const first = await daemon.end(Deadline.after(lazy ? LAZY_MILLISECONDS : GONE_MILLISECONDS));
  if (first !== 'working') return first;
  // A file system that is still mounted elsewhere keeps its daemon. After that, the daemon is working on its end.
  const isLeft = lazy ? !daemon.isSealing : isMountedSomewhere(found);
  return isLeft && !daemon.isSealing ? 'working' : daemon.end();
}

/** Returns whether the file system of a mount is still mounted anywhere; true where the kernel does not tell. */
function isMountedSomewhere({ device, fsType }: MountInfo): boolean {
  return fsType === 'overlay' || !existsSync('/sys/class/bdi') || existsSync(`/sys/class/bdi/${device}`);
}

/**
 * Looks at the options of the file system, which come last. With scratch space the overlay is writable, not the image.
 */
function isWritable(found: MountInfo): boolean {
  return found.options.findLast((option) => option === 'rw' || option === 'ro') === 'rw' && !isScratch(found);
}

/** @throws CkptfsError `unsealed`, or the error of the daemon that kept the image from being sealed */
function checkSealed({ mountPoint: path, source }: MountInfo, daemon: MountDaemon | undefined): void {
  const event = daemon?.lastEvent;
  if (event?.event === 'sealed' || event?.event === 'discarded') return;
  if (event?.event === 'unsealed') throw fromPlainError(event.error);
  throw new CkptfsError(
    'unsealed',
    `${path} is unmounted, but its daemon does not say that the image is sealed: it was killed`,
    {
      path,
      // This was its path when it was mounted: another image may be there now.
      data: { reason: 'daemon-killed', source },
    },
  );
}

async function unmountAtAll(found: MountInfo, lazy: boolean, daemon: MountDaemon | undefined): Promise<void> {
  try {
    await unmountOwn(found, lazy);
  } catch (cause) {
    throw cause instanceof CkptfsError && cause.code === 'busy' ? await busy(found, daemon) : cause;
  }
}

async function busy(found: MountInfo, daemon: MountDaemon | undefined): Promise<CkptfsError> {
  const { mountPoint: path } = found;
  // The kernel does not tell what a process has mapped while that process waits for a daemon that does not answer.
  const holders = await describeHolders(found, { maps: daemon === undefined || daemon.hasAnswered });
  return new CkptfsError('busy', `${path} is in use by ${holders || 'a process that this user cannot see'}`, {
    path,
    data: { reason: 'in-use' },
  });
}

function noAnswer(found: MountInfo, daemon: MountDaemon | undefined, why: 'stopped' | 'slow'): CkptfsError {
  const { mountPoint: path } = found;
  const who = daemon === undefined ? 'its daemon' : daemon.description;
  if (why === 'slow') {
    return new CkptfsError('no-answer', `${path} is unmounted, but ${who} has not ended yet`, {
      path,
      data: { reason: 'daemon-slow' },
    });
  }
  return new CkptfsError('no-answer', `${path} is unmounted, but ${who} is stopped or frozen, and cannot end`, {
    path,
    data: { reason: 'daemon-stopped', write: isWritable(found) },
  });
}

function hiddenDaemon(found: MountInfo): CkptfsError {
  const { mountPoint: path, source } = found;
  return new CkptfsError('no-answer', `${path} is unmounted, but its daemon cannot be asked whether it has ended`, {
    path,
    data: { reason: 'daemon-hidden', write: isWritable(found), source },
  });
}

function stillUsed({ mountPoint: path }: MountInfo): CkptfsError {
  return new CkptfsError('busy', `${path} is unmounted here, but another mount namespace still has it`, {
    path,
    data: { reason: 'other-namespace' },
  });
}
