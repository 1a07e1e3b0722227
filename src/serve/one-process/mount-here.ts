import { closeSync, openSync } from 'node:fs';
import { closeDescriptor, duplicateTo, redirectOutput } from '../../base/linux/descriptors.ts';
import { beginSession, exitNow } from '../../base/linux/processes.ts';
import type { Secret } from '../../crypto/secret.ts';
import { DaemonNamespace } from '../daemon/daemon-namespace.ts';
import { leaveFreezers } from '../daemon/freezer.ts';
import { type HintFor, Log } from '../daemon/log.ts';
import { serveMount } from '../daemon/serve-mount.ts';
import type { KeyOrigin } from '../handover/key-channel.ts';
import { findLog, openLog } from '../handover/log-file.ts';
import { placeToBeApartFrom } from '../launch/apart-launch.ts';
import { checkOptions, type MountOptions } from '../launch/checked-options.ts';

/** A mount that serves, for the user. */
export interface MountedHere {
  readonly mountPoint: string;
  readonly imageId: string;
  readonly pid: number;
  readonly logFile: string;
  readonly warnings: readonly string[];
}

/** How this process, which a launcher waits for, becomes the daemon of a mount. */
export interface HereOptions {
  readonly mount: MountOptions;
  readonly logFile: string | undefined;
  /** It is wiped when the mount is gone. */
  readonly imageKey: Secret;
  /** What opened the image. */
  readonly origin: KeyOrigin;
  /** Sentences about this process, for the log. */
  readonly weaknesses: readonly string[];
  /** Descriptors that the caller left open; they are closed. */
  readonly inherited: readonly number[];
  /** Only for tests, see DaemonConfig. */
  readonly lingerSeconds?: number;
  readonly hintFor: HintFor;
  /** Tells the user, over the standard streams of the caller. Returns the exit code for the launcher. */
  readonly tell: (mounted: MountedHere) => number;
  /** Lets the launcher end with a code. Returns false when it is gone. */
  readonly release: (exitCode: number) => boolean;
}

/**
 * Returns whether a mount can be made by a process that was not started for it: a daemon that is to be in another mount
 * namespace must be there from its start, scratch space and writing need serving threads at once, and fuse-native has
 * threads of its own.
 */
export function canMountHere({ transport, write, scratch }: MountOptions): boolean {
  if (transport === 'fuse-native' || write === true || scratch === true) return false;
  const place = placeToBeApartFrom();
  if (place === undefined) return true;
  for (const fd of [place.namespace, place.root]) closeSync(fd);
  return false;
}

/**
 * Makes a mount and serves it in this process, in the background and in a session of its own, until it is gone. When
 * the mount cannot be made the process ends and has told nothing, like one that was never started: what the launcher
 * then starts will say why.
 */
export async function mountHere(options: HereOptions): Promise<never> {
  const { imageKey, hintFor, lingerSeconds } = options;
  const linger = lingerSeconds === undefined ? {} : { lingerSeconds };
  const { config: checked, imageId } = checkOptions({ ...options.mount, ...linger });
  const logFile = findLog(imageId, options.logFile);
  const config = { ...checked, logFile };
  // From here on the terminal's signals reach the launcher alone. When that is gone the mount is ended again.
  if (!beginSession()) exitNow(0);
  process.chdir('/');
  for (const fd of options.inherited) closeDescriptor(fd);
  const logFd = openLog(logFile);
  const log = new Log(logFile, logFd, hintFor, config.logFormat);
  const warnings = leaveFreezers();
  for (const warning of [...options.weaknesses, ...warnings]) log.warning(warning);
  if (!imageKey.locked) log.warning('keys may be swapped out: the limit of locked memory (ulimit -l) is too low');
  const key = { imageKey, arrived: Promise.resolve(), origin: () => options.origin };
  return serveMount(config, key, log, DaemonNamespace.ofCaller(), {
    serving: async (daemon) => {
      const { mountPoint } = daemon.mount;
      const code = options.tell({ mountPoint, imageId, pid: process.pid, logFile, warnings });
      letGoOfStreams(logFd);
      if (!options.release(code)) await daemon.detach('the process that asked for this mount is gone');
    },
    failed: () => exitNow(0),
  });
}

/** Leaves the standard streams of the caller. What Node itself prints goes to the log. */
function letGoOfStreams(log: number): void {
  const nothing = openSync('/dev/null', 'r');
  duplicateTo(nothing, 0);
  closeSync(nothing);
  redirectOutput(log);
}
