import fs from 'node:fs';
import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { fromPlainError, type PlainError, toPlainError } from '../../base/errors.ts';
import { redirectOutput } from '../../base/linux/descriptors.ts';
import { exitNow, waitForChild } from '../../base/linux/processes.ts';
import { hardenProcess } from '../../crypto/hardening.ts';
import { IMAGE_KEY_SIZE } from '../../crypto/image-keys.ts';
import { Secret } from '../../crypto/secret.ts';
import { discardImage } from '../../image/discard-image.ts';
import {
  CONFIG_LENGTH_SIZE,
  type DaemonConfig,
  HARDENED,
  ORDERS_FD,
  REPORT_FD,
  type ReadyReport,
} from '../handover/config.ts';
import { isGone, offerKeyChannel, receiveKey } from '../handover/key-channel.ts';
import { type HintFor, Log } from '../mounts/log.ts';
import { openLog } from '../mounts/log-file.ts';
import { Daemon } from './daemon.ts';
import { DaemonNamespace } from './daemon-namespace.ts';
import { leaveFreezers, stayingInFreezers } from './freezer.ts';
import { ServiceManager } from './service-manager.ts';

const ANY_CHILD = -1;
const STANDARD_ERROR = 2;

/**
 * The process behind a mount. First it hardens itself, offers a channel for the image key, and says so on {@link REPORT_FD}. It is told what
 * to serve over descriptor {@link ORDERS_FD}: u32 length, a DaemonConfig as JSON; the key comes over the channel, perhaps only after a
 * while. In the background it reports once more, when the mount serves or cannot be made.
 * @param hintFor says in the log what can be done about an error
 */
export async function runDaemon(hintFor: HintFor): Promise<void> {
  const weaknesses = hardenProcess();
  const namespace = DaemonNamespace.enter();
  const channel = offerChannel();
  const config = readConfig();
  try {
    if (config.logFile !== undefined) turnToLog(config.logFile);
  } catch (error) {
    return fail(toPlainError(error), config);
  }
  const imageKey = Secret.zeros(IMAGE_KEY_SIZE);
  const log = new Log(config.logFile, STANDARD_ERROR, hintFor);
  for (const weakness of weaknesses) log.warning(weakness);
  // In the foreground it is for the service manager to say where it is.
  const frozen = config.logFile === undefined ? stayingInFreezers() : namespace.runInCallers(leaveFreezers);
  for (const warning of frozen) log.warning(warning);
  if (!imageKey.locked) log.warning('keys may be swapped out: the limit of locked memory (ulimit -l) is too low');

  let daemon: Daemon | undefined;
  let early: string | undefined;
  const onSignal = (signal: string): void => {
    if (daemon === undefined) early = signal;
    else void daemon.requestEnd(signal);
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
  // Sent when a terminal closes: a mount in the background outlives it.
  process.on('SIGHUP', config.logFile === undefined ? onSignal : () => undefined);
  process.on('uncaughtException', (error) => {
    log.error(`internal fault: ${toPlainError(error).stack}`);
    if (daemon === undefined) fail(toPlainError(error), config, log);
    else void daemon.detach('internal fault');
  });

  try {
    daemon = await Daemon.start(config, { imageKey, arrived: keyArrives(channel, imageKey, config) }, log, namespace);
  } catch (error) {
    imageKey.wipe();
    fail(toPlainError(error), config, log);
    return;
  }
  if (config.logFile !== undefined) await report(daemon, config, frozen);
  const manager = new ServiceManager(config.notifySocket, (text) => log.warning(text));
  tell(manager, daemon, config);
  if (early !== undefined) void daemon.requestEnd(early);
  const failure = await daemon.ended();
  if (failure !== undefined) manager.status(failure.message);
  if (config.lingerSeconds !== undefined) await sleep(config.lingerSeconds * 1000);
  exitNow(failure === undefined ? 0 : exitCodeOf(failure, config));
}

/** Tells a service manager that the mount serves and, once it is gone, what is left to do. */
function tell(manager: ServiceManager, { serving }: Daemon, { location, write }: DaemonConfig): void {
  manager.ready(`${write ? 'serving and writing' : 'serving'} ${location} on ${serving.mountPoint}`);
  void serving.stopped.then(() => {
    manager.stopping(write ? `unmounted; sealing ${location}` : `${serving.mountPoint} is unmounted`);
  });
}

/** Nobody is there to be told when that fails. */
function offerChannel(): number {
  try {
    const channel = offerKeyChannel(ORDERS_FD);
    fs.writeSync(REPORT_FD, `${HARDENED}\n`);
    return channel;
  } catch {
    return exitWithUnlocker(ANY_CHILD);
  }
}

function turnToLog(path: string): void {
  const log = openLog(path);
  redirectOutput(log);
  fs.closeSync(log);
}

function readConfig(): DaemonConfig {
  const length = readOrders(CONFIG_LENGTH_SIZE).readUInt32LE();
  return JSON.parse(readOrders(length).toString('utf8')) as DaemonConfig;
}

function readOrders(length: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let done = 0; done < length; ) {
    const count = unlessGone(() => fs.readSync(ORDERS_FD, bytes, done, length - done, null));
    // Whoever started it had no use for it after all.
    if (count === 0) exitWithUnlocker(ANY_CHILD);
    done += count;
  }
  return bytes;
}

/** A socket whose other end was closed with something unread in it fails once, instead of ending. */
function unlessGone(read: () => number): number {
  try {
    return read();
  } catch (cause) {
    if (isGone(cause)) return 0;
    throw cause;
  }
}

/** Without a key there is nothing to do, and nobody to tell. */
async function keyArrives(channel: number, imageKey: Secret, { unlocker }: DaemonConfig): Promise<void> {
  if (!(await receiveKey(channel, imageKey))) exitWithUnlocker(unlocker ?? ANY_CHILD);
  if (unlocker === undefined) return fs.closeSync(ORDERS_FD);
  fs.closeSync(REPORT_FD);
  void reap(unlocker);
}

/** Takes the exit code of a child, which Node does not know of, when its end shows. */
async function reap(unlocker: number): Promise<void> {
  await read(ORDERS_FD, Buffer.alloc(1), 0, 1, null).catch(() => undefined);
  fs.closeSync(ORDERS_FD);
  waitForChild(unlocker);
}

/** In the foreground it is a child that unlocks the key, and says why it cannot. */
function exitWithUnlocker(pid: number): never {
  exitNow(waitForChild(pid) ?? 1);
}

const read = promisify(fs.read);

/** Tells the caller that the mount serves. A caller that is gone by then gets no mount it would not know of. */
async function report(daemon: Daemon, { endWithCaller }: DaemonConfig, warnings: readonly string[]): Promise<void> {
  const { mountPoint, device, imageId } = daemon.serving;
  const ready: ReadyReport = { ok: true, pid: process.pid, mountPoint, device, imageId, warnings };
  try {
    fs.writeSync(REPORT_FD, `${JSON.stringify(ready)}\n`);
  } catch {
    await daemon.requestEnd('whoever asked for this mount is gone');
  }
  if (!endWithCaller) return fs.closeSync(REPORT_FD);
  const caller = new net.Socket({ fd: REPORT_FD, readable: true, writable: false });
  caller.on('error', () => undefined);
  caller.on('close', () => void daemon.detach('whoever asked for this mount has ended'));
  caller.resume();
  caller.unref();
}

/** @param log undefined when it is the log that cannot be had */
function fail(error: PlainError, config: DaemonConfig, log?: Log): void {
  log?.failure(fromPlainError(error));
  takeBack(config, log);
  try {
    if (config.logFile !== undefined) fs.writeSync(REPORT_FD, `${JSON.stringify(error)}\n`);
  } catch {
    // The caller is gone; the log has it.
  }
  exitNow(exitCodeOf(error, config));
}

/** An image that was made for a mount that does not come about. */
function takeBack({ made }: DaemonConfig, log?: Log): void {
  try {
    if (made !== undefined) discardImage(made);
  } catch (error) {
    log?.warning(`the image that was made is left behind: ${toPlainError(error).message}`);
  }
}

function exitCodeOf({ code }: Pick<PlainError, 'code'>, { exitCodes }: DaemonConfig): number {
  return exitCodes?.[code] ?? 1;
}
