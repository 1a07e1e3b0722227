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
  /** Take the mount out of sight now, and let it end when nobody uses it any more. */
  readonly lazy?: boolean;
}

export interface UnmountResult {
  /** Absolute, without symbolic links: as mount tables had it. */
  readonly mountPoint: string;
  /**
   * Whether the daemon has wiped keys and caches, or was dead already. False when somebody still has the mount: out of sight
   * after a lazy unmount, or in another mount namespace. The daemon then ends with the last of them.
   */
  readonly wiped: boolean;
  /** Whether files could be changed. The image is then sealed, or, where `wiped` is false, will be when the daemon ends. */
  readonly write: boolean;
}

/** How long a daemon may take to say what it is before the mount is taken away without having heard it. */
const ANSWER_MILLISECONDS = 10_000;
/** By then the kernel has taken down a mount that nobody else has. */
const GONE_MILLISECONDS = 10_000;
/** A lazy unmount of what nobody uses ends its daemon at once; otherwise nobody knows when. */
const LAZY_MILLISECONDS = 500;

/**
 * Unmounts a mount of ours, and waits until what was written is sealed and durable and the daemon has wiped keys and caches.
 * Clears also a mount whose daemon was killed.
 * @throws CkptfsError `not-mounted`; `busy`, naming who uses it; `mount-failed`, `missing-feature`. Then it is mounted still.
 * And when it is not, but what was written is not sealed: `unsealed` when the daemon was killed; `busy` when somebody has the
 * mount in another namespace (unless `lazy`); else what kept it from sealing: `io`, … And when it is not, but the daemon did
 * not end, since it is stopped, or since it is another user's and takes too long: `no-answer`.
 */
export async function unmountImage(mountPoint: string, { lazy = false }: UnmountOptions = {}): Promise<UnmountResult> {
  const found = await findOwnMount(mountPoint);
  const write = isWritable(found);
  return withStateDirectories(async (directories) => {
    const daemon = await MountDaemon.find(directories, found, Deadline.after(ANSWER_MILLISECONDS));
    // Without a daemon that listens the kernel says whether there is one.
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
      return { mountPoint: found.mountPoint, wiped, write };
    } finally {
      daemon?.close();
    }
  });
}

/** Waits for the end of a daemon whose mount is taken away: as long as it takes, while nothing speaks against that. */
async function endOf(daemon: MountDaemon, found: MountInfo, lazy: boolean): Promise<DaemonEnd> {
  const first = await daemon.end(Deadline.after(lazy ? LAZY_MILLISECONDS : GONE_MILLISECONDS));
  if (first !== 'working') return first;
  // What the kernel still has for somebody else keeps its daemon; what it has taken down, the daemon is at.
  const isLeft = lazy ? !daemon.isSealing : isMountedSomewhere(found);
  return isLeft && !daemon.isSealing ? 'working' : daemon.end();
}

/** Whether the kernel still has the file system of a mount, wherever it is mounted; assumed where that cannot be told. */
function isMountedSomewhere({ device, fsType }: MountInfo): boolean {
  return fsType === 'overlay' || !existsSync('/sys/class/bdi') || existsSync(`/sys/class/bdi/${device}`);
}

/** By the options of the file system, which come last. The overlay of a mount with scratch space can be written to, but not the image. */
function isWritable(found: MountInfo): boolean {
  return found.options.findLast((option) => option === 'rw' || option === 'ro') === 'rw' && !isScratch(found);
}

/** @throws CkptfsError */
function checkSealed({ mountPoint: path, source }: MountInfo, daemon: MountDaemon | undefined): void {
  const event = daemon?.lastEvent;
  if (event?.event === 'sealed') return;
  if (event?.event === 'unsealed') throw fromPlainError(event.error);
  throw new CkptfsError(
    'unsealed',
    `${path} is unmounted, but its daemon does not say that the image is sealed: it was killed`,
    {
      path,
      // A path of the time when it was mounted: another image may be there now.
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
  // Of a process that waits for a daemon that does not answer, not even the kernel may tell what it has mapped.
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
  return new CkptfsError('busy', `${path} is unmounted here, but somebody still has it in another mount namespace`, {
    path,
    data: { reason: 'other-namespace' },
  });
}
