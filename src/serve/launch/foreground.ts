import { spawn } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import { CkptfsError, type ErrorCode } from '../../base/errors.ts';
import { closeOnExec, withoutInheritance } from '../../base/linux/descriptors.ts';
import { replaceProcess } from '../../base/linux/processes.ts';
import { isSocket, peerOf, socketPair } from '../../base/linux/sockets.ts';
import type { Secret } from '../../crypto/secret.ts';
import type { MadeImage } from '../../image/discard-image.ts';
import { type DaemonConfig, ORDERS_FD, REPORT_FD } from '../handover/config.ts';
import { handOverKey } from '../handover/key-channel.ts';
import { daemonConfig, type MountOptions } from './daemon-config.ts';
import { DaemonReports } from './daemon-reports.ts';
import { daemonEnvironment, daemonProgram, sendConfig } from './launch.ts';

/**
 * A daemon in the foreground. The process that was started becomes it, as service managers want it, and leaves what a daemon never does,
 * to open a key slot, to a child: the same command line once more, which ends when it has told the daemon what to serve.
 */

/** By it the child knows itself: the pid of the daemon to be. */
const MARK = 'CKPTFS_UNLOCK_FOR';

interface ForegroundOptions extends MountOptions {
  readonly imageKey: Secret;
  /** Exit code for each fault that keeps the daemon from serving, or from sealing what it wrote; 1 for those not named. */
  readonly exitCodes?: Readonly<Partial<Record<ErrorCode, number>>>;
  /** An image that was made for this mount alone: the daemon takes it back if it cannot serve. */
  readonly made?: MadeImage;
}

/**
 * Whether this process is the child of a daemon in the foreground, to which it is to tell what to serve. Programs that it starts are not.
 * @throws CkptfsError `interrupted` when that daemon was killed meanwhile: else its child would become another one
 */
export function isUnlocker(): boolean {
  const mark = process.env[MARK];
  if (mark === undefined) return false;
  delete process.env[MARK];
  const isParents = (fd: number): boolean => isSocket(fd, 'stream') && peerOf(fd).pid === process.ppid;
  if (mark === String(process.ppid) && isParents(ORDERS_FD) && isParents(REPORT_FD)) return true;
  throw new CkptfsError('interrupted', `process ${mark}, for which this one was to unlock the image, has ended`);
}

/**
 * Starts the child that unlocks the key, and turns this process into the daemon, which logs to standard error. Never returns; the daemon
 * exits with 0 once it was unmounted and, where it wrote, the image is sealed, and with the child's exit code when that fails.
 * @param command the program and arguments of this process
 * @param words what ps shows of the daemon
 */
export function becomeDaemon(command: readonly [string, ...string[]], words: readonly string[]): never {
  const [orders, theirOrders] = socketPair();
  const [reports, theirReports] = socketPair();
  const [program, ...args] = command;
  withoutInheritance(() =>
    spawn(program, args, {
      env: { ...process.env, [MARK]: String(process.pid) },
      stdio: ['inherit', 'inherit', 'inherit', theirOrders, theirReports],
    }),
  );
  closeOnExec();
  process.chdir('/');
  replaceProcess(process.execPath, [daemonProgram, ...words], daemonEnvironment(), [orders, reports]);
}

/**
 * In the child: tells the daemon what to serve, and the key. What becomes of the mount is for the daemon to say, to a service manager that
 * NOTIFY_SOCKET names as well.
 * @throws CkptfsError as {@link daemonConfig}
 */
export async function serveByParent(options: ForegroundOptions): Promise<void> {
  const { exitCodes, made } = options;
  const notifySocket = process.env['NOTIFY_SOCKET'];
  const config: DaemonConfig = {
    ...daemonConfig(options).config,
    unlocker: process.pid,
    ...(exitCodes === undefined ? {} : { exitCodes }),
    ...(made === undefined ? {} : { made }),
    // In no variable, which programs that the daemon starts would inherit.
    ...(notifySocket === undefined || notifySocket === '' ? {} : { notifySocket }),
  };
  const stream = new net.Socket({ fd: REPORT_FD });
  try {
    sendConfig(ORDERS_FD, config);
    await new DaemonReports(stream).hardened;
    handOverKey(ORDERS_FD, process.ppid, options.imageKey);
  } finally {
    stream.destroy();
    fs.closeSync(ORDERS_FD);
  }
}
