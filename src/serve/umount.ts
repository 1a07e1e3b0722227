import fs from 'node:fs';
import { CkptfsError, fromPlainError } from '../base/errors.ts';
import type { MountInfo } from '../fuse/mountinfo.ts';
import { controlNames } from './control.ts';
import { callDaemon, type DaemonLink } from './control-client.ts';
import { describeHolders } from './holders.ts';
import { findOwnMount, isScratch, ownerOf, unmountOwn } from './own-mounts.ts';
import { readableStateDirectories } from './state-directory.ts';

export interface UnmountOptions {
  /** Take the mount out of sight now, and let it end when nobody uses it any more. */
  readonly lazy?: boolean;
}

export interface UnmountResult {
  /**
   * Whether the daemon has wiped keys and caches, or was dead already. False when somebody still has the mount: out of sight
   * after a lazy unmount, or in another mount namespace. The daemon then ends with the last of them.
   */
  readonly wiped: boolean;
  /** Whether files could be changed. The image is then sealed, or, where `wiped` is false, will be when the daemon ends. */
  readonly write: boolean;
}

/** The daemon of a writable mount says more often than this that it is sealing, however long that takes. */
const WIPE_TIMEOUT_MILLISECONDS = 10_000;
/** A lazy unmount of what nobody uses ends its daemon at once; otherwise nobody knows when. */
const LAZY_TIMEOUT_MILLISECONDS = 500;

/**
 * Unmounts a mount of ours, and waits until what was written is sealed and durable and the daemon has wiped keys and caches. Clears also a
 * mount whose daemon was killed.
 * @throws CkptfsError `not-mounted`; `busy`, naming who uses it; `mount-failed`, `missing-feature`. Then it is mounted still. And when it is
 * not, but what was written is not sealed: `unsealed` when the daemon was killed; `busy` when somebody has the mount in another namespace
 * (unless `lazy`); else what kept it from sealing: `io`, …
 */
export async function unmountImage(mountPoint: string, { lazy = false }: UnmountOptions = {}): Promise<UnmountResult> {
  const found = await findOwnMount(mountPoint);
  const write = isWritable(found);
  const daemon = await daemonOf(found);
  try {
    await unmountAtAll(found, lazy);
    const wiped = daemon === undefined || (await hasEnded(daemon, lazy));
    if (write && wiped) checkSealed(found, daemon);
    if (write && !wiped && !lazy) throw stillUsed(found);
    return { wiped, write };
  } finally {
    daemon?.close();
  }
}

async function hasEnded(daemon: DaemonLink, lazy: boolean): Promise<boolean> {
  if (lazy && (await daemon.ended(LAZY_TIMEOUT_MILLISECONDS))) return true;
  if (lazy && daemon.lastEvent()?.event !== 'sealing') return false;
  return daemon.ended(WIPE_TIMEOUT_MILLISECONDS);
}

/** By the options of the file system, which come last. The overlay of a mount with scratch space can be written to, but not the image. */
function isWritable(found: MountInfo): boolean {
  return found.options.findLast((option) => option === 'rw' || option === 'ro') === 'rw' && !isScratch(found);
}

/** @throws CkptfsError */
function checkSealed({ mountPoint: path, source }: MountInfo, daemon: DaemonLink | undefined): void {
  const event = daemon?.lastEvent();
  if (event?.event === 'sealed') return;
  if (event?.event === 'unsealed') throw fromPlainError(event.error);
  throw new CkptfsError(
    'unsealed',
    `${path} is unmounted, but its daemon does not say that the image is sealed: it was killed`,
    {
      path,
      advice: `Run "ckptfs seal" on it: ${source}.`,
    },
  );
}

async function unmountAtAll(found: MountInfo, lazy: boolean): Promise<void> {
  try {
    await unmountOwn(found, lazy);
  } catch (cause) {
    throw cause instanceof CkptfsError && cause.code === 'busy' ? await busy(found) : cause;
  }
}

/** The daemon of a mount, if one listens: where its owner's daemons do, since another user's socket may bear any name. */
async function daemonOf(found: MountInfo): Promise<DaemonLink | undefined> {
  for (const { path: directory, owner } of readableStateDirectories()) {
    if (owner !== ownerOf(found)) continue;
    for (const { path, device } of controlNames(directory)) {
      const daemon = device === found.device ? await daemonAt(path, owner) : undefined;
      if (daemon !== undefined) return daemon;
    }
  }
  return undefined;
}

/** What listens there, unless it is the daemon of an earlier mount, which still seals. */
async function daemonAt(path: string, owner: number): Promise<DaemonLink | undefined> {
  const daemon = await callDaemon(path);
  if (daemon === undefined) {
    if (owner === process.geteuid?.()) removeStale(path);
    return undefined;
  }
  if ((await daemon.status())?.state !== 'sealing') return daemon;
  daemon.close();
  return undefined;
}

/** What a daemon that was killed left. */
function removeStale(path: string): void {
  try {
    fs.unlinkSync(path);
  } catch {
    // It does no harm where it is.
  }
}

async function busy(found: MountInfo): Promise<CkptfsError> {
  const { mountPoint: path } = found;
  const holders = await describeHolders(found);
  return new CkptfsError('busy', `${path} is in use by ${holders || 'a process that this user cannot see'}`, {
    path,
    advice: 'End what uses it and try again, or unmount it lazily (--lazy).',
  });
}

function stillUsed({ mountPoint: path }: MountInfo): CkptfsError {
  return new CkptfsError('busy', `${path} is unmounted here, but somebody still has it in another mount namespace`, {
    path,
    advice: 'What was written is sealed when the last of them is gone; "ckptfs status" shows it.',
  });
}
