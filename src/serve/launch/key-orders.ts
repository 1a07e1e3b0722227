import { writeSync } from 'node:fs';
import { Deadline } from '../../base/deadline.ts';
import { CkptfsError, fromPlainError } from '../../base/errors.ts';
import { closeDescriptor } from '../../base/linux/descriptors.ts';
import { peerOf } from '../../base/linux/sockets.ts';
import { Waiting } from '../../base/linux/waiting.ts';
import type { Secret } from '../../crypto/secret.ts';
import type { MountInfo } from '../../fuse/mount/mountinfo.ts';
import { callDaemon, connectHeld, linkTo } from '../control/control-client.ts';
import { type DaemonStatus, type KeyAnswer, LOCK_ORDER, UNLOCK_ORDER } from '../control/control-messages.ts';
import { type ControlName, controlNames } from '../control/control-names.ts';
import { handOverKey, type KeyOrigin } from '../handover/key-channel.ts';
import { findOwnMount, ownerOf } from '../mounts/own-mounts.ts';
import { withStateDirectories } from '../mounts/state-directory.ts';

/** How long a daemon may take in all. It gives up wiping a little earlier. */
const ANSWER_MILLISECONDS = 30_000;

/** The daemon of a mount, as its socket is named. The kernel says that it is a process of the mount's owner. */
interface AnsweringDaemon {
  readonly name: ControlName;
  readonly owner: number;
  readonly pid: number;
  readonly status: DaemonStatus;
}

/**
 * Locks a mount that is only read: its daemon wipes all keys and cached plaintext, and returns when that is done. Reads
 * of contents then fail with EIO, until {@link unlockMount}.
 * @throws CkptfsError `not-mounted`; `bad-argument` when it cannot be locked; `no-answer`, `missing-feature` when its
 *   daemon does not answer
 */
export async function lockMount(directory: string): Promise<{ readonly mountPoint: string }> {
  return withDaemonOf(directory, async ({ name, owner }, found, deadline) => {
    const link = callDaemon(name, owner);
    if (typeof link !== 'object') throw noDaemon(found);
    try {
      checkAnswer(found, await link.keyAnswer(deadline, LOCK_ORDER));
    } finally {
      link.close();
    }
    return { mountPoint: found.mountPoint };
  });
}

/**
 * Returns the status of the daemon of a mount of this user that is locked, so that the key of its image can be had.
 * The daemon of another user is not believed, because it would be given the key.
 * @throws CkptfsError `not-mounted`; `bad-argument` when it is another user's, or not locked; `missing-feature`
 */
export async function findLocked(directory: string): Promise<DaemonStatus> {
  return withDaemonOf(directory, async ({ owner, status }, { mountPoint: path }) => {
    if (owner !== process.geteuid?.()) {
      throw new CkptfsError('bad-argument', `${path} is a mount of user ${owner}, who alone can unlock it`, { path });
    }
    if (!status.key.locked) throw new CkptfsError('bad-argument', `${path} is not locked`, { path });
    return status;
  });
}

/**
 * Gives the image key to the daemon of a locked mount, as `ckptfs mount` does.
 * @param imageKey the caller wipes it
 * @throws CkptfsError `not-mounted`, `missing-feature`, `no-answer`, and what the daemon says of the key: `damaged`,
 *   `wrong-image`, `io`
 */
export async function unlockMount(
  directory: string,
  imageKey: Secret,
  origin?: KeyOrigin,
): Promise<{ readonly mountPoint: string }> {
  return withDaemonOf(directory, async ({ name, owner, pid }, found, deadline) => {
    const fd = connectHeld(name);
    if (fd === undefined) throw noDaemon(found);
    let isTaken = false;
    try {
      const peer = peerOf(fd);
      if (peer.uid !== owner || peer.pid !== pid || owner !== process.geteuid?.()) throw noDaemon(found);
      writeSync(fd, UNLOCK_ORDER);
      if (!(await isReadable(fd, deadline))) throw noDaemon(found);
      handOverKey(fd, pid, imageKey, origin);
      isTaken = true;
    } finally {
      if (!isTaken) closeDescriptor(fd);
    }
    const link = linkTo(fd, owner);
    if (link === 'stranger') throw noDaemon(found);
    try {
      checkAnswer(found, await link.keyAnswer(deadline));
    } finally {
      link.close();
    }
    return { mountPoint: found.mountPoint };
  });
}

/**
 * Does something with the daemon of a mount.
 * @throws CkptfsError `not-mounted`; `missing-feature` when its daemon does not answer
 */
export async function withDaemonOf<T>(
  directory: string,
  work: (daemon: AnsweringDaemon, found: MountInfo, deadline: Deadline) => Promise<T>,
): Promise<T> {
  const found = await findOwnMount(directory);
  const deadline = Deadline.after(ANSWER_MILLISECONDS);
  return withStateDirectories(async (directories) => {
    const owner = ownerOf(found);
    const names = directories.filter((one) => one.owner === owner).flatMap((one) => controlNames(one.directory));
    for (const name of names.filter(({ device }) => device === found.device)) {
      const daemon = await ask(name, owner, deadline);
      if (daemon !== undefined) return work(daemon, found, deadline);
    }
    throw noDaemon(found);
  });
}

async function ask(name: ControlName, owner: number, deadline: Deadline): Promise<AnsweringDaemon | undefined> {
  const link = callDaemon(name, owner);
  if (typeof link !== 'object') return undefined;
  try {
    const status = await link.status(deadline);
    if (status?.state !== 'serving' || status.device !== name.device) return undefined;
    return { name, owner, pid: link.peer.pid, status };
  } finally {
    link.close();
  }
}

async function isReadable(fd: number, deadline: Deadline): Promise<boolean> {
  const waiting = new Waiting(fd);
  const readable = waiting.readable().then(() => true);
  try {
    return (await deadline.wait(readable)) ?? false;
  } finally {
    waiting.end();
    void readable.finally(() => waiting.close());
  }
}

function checkAnswer({ mountPoint: path }: MountInfo, answer: KeyAnswer | undefined): void {
  if (answer?.key === 'done') return;
  if (answer !== undefined) throw fromPlainError(answer.error);
  throw new CkptfsError('no-answer', `the daemon of ${path} has not answered`, {
    path,
    data: { reason: 'daemon-slow' },
  });
}

export function noDaemon({ mountPoint: path }: MountInfo): CkptfsError {
  return new CkptfsError('missing-feature', `the daemon of ${path} does not answer`, {
    path,
    data: { feature: 'daemon-status' },
  });
}
