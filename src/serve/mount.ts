import { type ChildProcess, spawn } from 'node:child_process';
import fs from 'node:fs';
import type { Readable } from 'node:stream';
import { CkptfsError, fromPlainError, type PlainError, systemErrorName } from '../base/errors.ts';
import type { Secret } from '../crypto/secret.ts';
import { type DaemonConfig, REPORT_FD, type ReadyReport } from './config.ts';
import { daemonConfig, type MountOptions } from './daemon-config.ts';
import { daemonArguments, daemonEnvironment, openLog, orderPipe, sendKey } from './launch.ts';
import { type UnmountOptions, type UnmountResult, unmountImage } from './umount.ts';

export interface BackgroundMountOptions extends MountOptions {
  /**
   * Stays the caller's to wipe. The daemon starts while a promised key is still being unlocked, which hides most of the time that takes;
   * when the promise fails, the daemon ends and the mount fails with it.
   */
  readonly imageKey: Secret | Promise<Secret>;
  /** Of the daemon, made with mode 0600. Default: named by image id, in /var/log/ckptfs as root, else below XDG_STATE_HOME. */
  readonly logFile?: string;
  /** The daemon detaches the mount when this process ends, however that comes about. */
  readonly endWithCaller?: boolean;
}

/** A mount that serves. The daemon lives on when this process ends, unless `endWithCaller` was asked for. */
export interface MountHandle {
  /** Absolute, without symbolic links: as mount tables have it. */
  readonly mountPoint: string;
  /** 32 hexadecimal digits. */
  readonly imageId: string;
  /** Of the daemon. */
  readonly pid: number;
  readonly logFile: string;
  /** Unmounts and waits until the daemon has wiped its keys and, where it wrote, sealed the image. */
  unmount(options?: UnmountOptions): Promise<UnmountResult>;
}

/**
 * Mounts an image by a daemon in the background. Returns when the mount serves.
 * @throws CkptfsError what the daemon met: `bad-argument`, `not-an-image`, `unfinished`, `unsealed`, `locked`, `unsupported-format`, `damaged`,
 * `mount-failed`, `missing-feature`, `io`, `internal`
 */
export async function mountImage(options: BackgroundMountOptions): Promise<MountHandle> {
  const { config, imageId } = daemonConfig(options);
  const log = openLog(imageId, options.logFile);
  try {
    const endWithCaller = options.endWithCaller ?? false;
    const { daemon, orders } = startDaemon({ ...config, logFile: log.path, endWithCaller }, log.fd);
    const reported = readReport(daemon, log.path);
    // Looked at below: until then nobody waits for it.
    reported.catch(() => undefined);
    await handKeyOver(orders, options.imageKey);
    const report = await reported;
    if (!endWithCaller) letGo(daemon);
    const { mountPoint, pid } = report;
    const unmount = async (how?: UnmountOptions): Promise<UnmountResult> => {
      const result = await unmountImage(mountPoint, how);
      letGo(daemon);
      return result;
    };
    return { mountPoint, imageId, pid, logFile: log.path, unmount };
  } finally {
    fs.closeSync(log.fd);
  }
}

/** @returns beside the daemon the end of the pipe that takes its key */
function startDaemon(config: DaemonConfig, logFd: number): { readonly daemon: ChildProcess; readonly orders: number } {
  const { readEnd, writeEnd } = orderPipe(config);
  try {
    const daemon = spawn(process.execPath, daemonArguments(config), {
      cwd: '/',
      detached: true,
      env: daemonEnvironment(),
      stdio: ['ignore', logFd, logFd, readEnd, 'pipe'],
    });
    return { daemon, orders: writeEnd };
  } finally {
    fs.closeSync(readEnd);
  }
}

/** A daemon whose pipe ends before the key ends too. @throws what the promise of the key fails with */
async function handKeyOver(orders: number, imageKey: Secret | Promise<Secret>): Promise<void> {
  try {
    sendKey(orders, await imageKey);
  } catch (cause) {
    // The daemon is gone already: its report says why.
    if (systemErrorName(cause) !== 'EPIPE') throw cause;
  } finally {
    fs.closeSync(orders);
  }
}

/** The first line of what the daemon reports; its end without one means that the daemon died. */
function readReport(daemon: ChildProcess, logFile: string): Promise<ReadyReport> {
  const stream = reportStream(daemon);
  return new Promise((resolve, reject) => {
    let text = '';
    const died = (reason: string): void =>
      reject(new CkptfsError('internal', `the daemon ${reason}`, { advice: `Its log is ${logFile}.`, path: logFile }));
    daemon.on('error', (cause) => reject(new CkptfsError('internal', `cannot start the daemon: ${cause.message}`)));
    stream.setEncoding('utf8');
    stream.on('error', (cause) => died(`cannot be heard: ${cause.message}`));
    stream.on('end', () => died('ended before it served'));
    stream.on('data', (part: string) => {
      text += part;
      const end = text.indexOf('\n');
      if (end < 0) return;
      const report = JSON.parse(text.slice(0, end)) as ReadyReport | PlainError;
      if ('ok' in report) resolve(report);
      else reject(fromPlainError(report));
    });
  });
}

function reportStream(daemon: ChildProcess): Readable {
  return daemon.stdio[REPORT_FD] as Readable;
}

/** Nothing of the daemon keeps this process alive any more. */
function letGo(daemon: ChildProcess): void {
  daemon.unref();
  reportStream(daemon).destroy();
}
