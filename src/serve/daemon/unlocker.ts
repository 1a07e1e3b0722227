import { closeSync, read as readCallback } from 'node:fs';
import { promisify } from 'node:util';
import { exitNow, waitForChild } from '../../base/linux/processes.ts';
import type { Secret } from '../../crypto/secret.ts';
import type { DaemonConfig } from '../handover/daemon-config.ts';
import { ORDERS_FD, REPORT_FD } from '../handover/descriptors.ts';
import { type KeyOrigin, offerKeyChannel, receiveKey } from '../handover/key-channel.ts';
import { HARDENED, sendReport } from '../handover/reports.ts';

/**
 * The process that unlocks the key for this daemon. In the background it has started the daemon; in the foreground it
 * is a child of the daemon, which the daemon has to wait for. Node does not know of that child.
 */

const ANY_CHILD = -1;

/** Offers the channel for the key, and reports that the daemon is hardened. Ends the daemon when that fails. */
export function offerChannel(): number {
  try {
    const channel = offerKeyChannel(ORDERS_FD);
    sendReport(HARDENED);
    return channel;
  } catch {
    return exitWithUnlocker();
  }
}

/** A key that may not have arrived yet, and then what opened the image. */
interface UnopenedKey {
  readonly imageKey: Secret;
  origin: KeyOrigin;
}

/** Receives the key. Ends the daemon when none comes: it has nothing to do, and no process to tell. */
export async function keyArrives(channel: number, key: UnopenedKey, { unlocker }: DaemonConfig): Promise<void> {
  const { imageKey } = key;
  const isThere = await receiveKey(channel, imageKey, (origin) => {
    key.origin = origin;
  });
  if (!isThere) exitWithUnlocker(unlocker);
  if (unlocker === undefined) return closeSync(ORDERS_FD);
  closeSync(REPORT_FD);
  void reap(unlocker);
}

/** Ends the daemon, in the foreground with the exit code of the child, which has printed why it could not unlock. */
export function exitWithUnlocker(pid: number = ANY_CHILD): never {
  exitNow(waitForChild(pid) ?? 1);
}

/** Waits until the child closes its end of the socket, then takes its exit code, so that it does not stay a zombie. */
async function reap(unlocker: number): Promise<void> {
  await read(ORDERS_FD, Buffer.alloc(1), 0, 1, null).catch(() => undefined);
  closeSync(ORDERS_FD);
  waitForChild(unlocker);
}

const read = promisify(readCallback);
