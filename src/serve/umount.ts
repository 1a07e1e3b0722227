import fs from 'node:fs';
import { CkptfsError } from '../base/errors.ts';
import type { MountInfo } from '../fuse/mountinfo.ts';
import { controlPath, isSocket } from './control.ts';
import { callDaemon, type DaemonLink } from './control-client.ts';
import { describeHolders } from './holders.ts';
import { findOwnMount, ownerOf, unmountOwn } from './own-mounts.ts';
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
}

const WIPE_TIMEOUT_MILLISECONDS = 10_000;
/** A lazy unmount of what nobody uses ends its daemon at once; otherwise nobody knows when. */
const LAZY_TIMEOUT_MILLISECONDS = 500;

/**
 * Unmounts a mount of ours, and waits until its daemon has wiped keys and caches. Clears also a mount whose daemon was killed.
 * @throws CkptfsError `not-mounted`; `busy`, naming who uses it; `mount-failed`, `missing-feature`
 */
export async function unmountImage(mountPoint: string, { lazy = false }: UnmountOptions = {}): Promise<UnmountResult> {
  const found = await findOwnMount(mountPoint);
  const daemon = await daemonOf(found);
  try {
    await unmountOwn(found, lazy);
    const wiped = await daemon?.ended(lazy ? LAZY_TIMEOUT_MILLISECONDS : WIPE_TIMEOUT_MILLISECONDS);
    return { wiped: wiped ?? true };
  } catch (cause) {
    throw cause instanceof CkptfsError && cause.code === 'busy' ? await busy(found) : cause;
  } finally {
    daemon?.close();
  }
}

/** The daemon of a mount, if one listens: where its owner's daemons do, since another user's socket may bear any name. */
async function daemonOf(found: MountInfo): Promise<DaemonLink | undefined> {
  for (const { path: directory, owner } of readableStateDirectories()) {
    const path = controlPath(directory, found.device);
    if (owner !== ownerOf(found) || !isSocket(path)) continue;
    const daemon = await callDaemon(path);
    if (daemon !== undefined) return daemon;
    if (owner === process.geteuid?.()) removeStale(path);
  }
  return undefined;
}

/** What a daemon that was killed left. */
function removeStale(path: string): void {
  try {
    fs.unlinkSync(path);
  } catch {
    // It does no harm where it is: the next daemon of that device replaces it.
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
