import { spawn } from 'node:child_process';
import { closeSync } from 'node:fs';
import net from 'node:net';
import { CkptfsError, type ErrorCode } from '../../base/errors.ts';
import { closeOnExec, withoutInheritance } from '../../base/linux/descriptors.ts';
import { replaceProcess } from '../../base/linux/processes.ts';
import { isSocket, peerOf, socketPair } from '../../base/linux/sockets.ts';
import type { Secret } from '../../crypto/secret.ts';
import type { MadeImage } from '../../image/discard-image.ts';
import type { DaemonConfig } from '../handover/daemon-config.ts';
import { ORDERS_FD, REPORT_FD } from '../handover/descriptors.ts';
import { handOverKey, type KeyOrigin } from '../handover/key-channel.ts';
import { sendConfig } from '../handover/orders.ts';
import { DaemonReports } from '../handover/reports.ts';
import { checkOptions, type MountOptions } from './checked-options.ts';
import { DAEMON_PROGRAM, daemonEnvironment } from './daemon-program.ts';

/**
 * Mounts in the foreground. Service managers expect that the process that they started is the daemon, so it becomes the
 * daemon. A daemon never opens a key slot: a child does that, which is the same command line once more, and ends when
 * it has told the daemon what to mount.
 */

/** The environment variable by which the child knows what it is. Its value is the pid of the future daemon. */
const MARK = 'CKPTFS_UNLOCK_FOR';

interface ForegroundOptions extends MountOptions {
  readonly imageKey: Secret;
  /** Returns what opened the image. */
  readonly origin?: (() => KeyOrigin) | undefined;
  /** The exit code for each error that keeps the daemon from serving, or from sealing the image; 1 for others. */
  readonly exitCodes?: Readonly<Partial<Record<ErrorCode, number>>>;
  /** An image that was made for this mount alone: the daemon removes it if it cannot serve. */
  readonly made?: MadeImage;
}

/**
 * Returns whether this process is the child that unlocks the key for a daemon in the foreground. Removes the mark, so
 * that programs which it starts are not taken for one.
 * @throws CkptfsError `interrupted` when that daemon was killed: without it, this process would become another daemon
 */
export function isUnlocker(): boolean {
  const mark = process.env[MARK];
  if (mark === undefined) return false;
  delete process.env[MARK];
  const isParents = (fd: number): boolean => isSocket(fd, 'stream') && peerOf(fd).pid === process.ppid;
  if (mark === String(process.ppid) && isParents(ORDERS_FD) && isParents(REPORT_FD)) return true;
  throw new CkptfsError('interrupted', `the process ${mark} has ended, for which this one was to unlock the image`);
}

/**
 * Starts the child that unlocks the key, and turns this process into the daemon, which logs to standard error. Never
 * returns. The daemon exits with 0 when it is unmounted and a writable image is sealed, and with the exit code of the
 * child when the child fails.
 * @param command the program and arguments of this process
 * @param words what ps shows as the daemon's arguments
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
  replaceProcess(process.execPath, [DAEMON_PROGRAM, ...words], daemonEnvironment(), [orders, reports]);
}

/**
 * In the child: tells the daemon what to mount, and the key. The daemon itself says what becomes of the mount, also to
 * the service manager that NOTIFY_SOCKET names.
 * @throws as {@link checkOptions}; `internal` when the daemon was killed
 */
export async function mountByParent(options: ForegroundOptions): Promise<void> {
  const { exitCodes, made } = options;
  const notifySocket = process.env['NOTIFY_SOCKET'];
  const config: DaemonConfig = {
    ...checkOptions(options).config,
    unlocker: process.pid,
    ...(exitCodes === undefined ? {} : { exitCodes }),
    ...(made === undefined ? {} : { made }),
    // Not in the daemon's environment, which programs that it starts would inherit.
    ...(notifySocket === undefined || notifySocket === '' ? {} : { notifySocket }),
  };
  const stream = new net.Socket({ fd: REPORT_FD });
  try {
    sendConfig(ORDERS_FD, config);
    const reports = new DaemonReports(stream);
    await reports.hardened;
    handOverKey(ORDERS_FD, process.ppid, options.imageKey, options.origin?.());
    // What fetches stays with this process until the daemon is connected to it, which closes the reports later.
    if (config.remote !== undefined) await reports.ready.catch(() => undefined);
  } finally {
    stream.destroy();
    closeSync(ORDERS_FD);
  }
}
