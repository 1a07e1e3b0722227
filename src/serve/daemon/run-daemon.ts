import { closeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fromPlainError, type PlainError, toPlainError } from '../../base/errors.ts';
import { redirectOutput } from '../../base/linux/descriptors.ts';
import { exitNow } from '../../base/linux/processes.ts';
import { hardenProcess } from '../../crypto/hardening.ts';
import { IMAGE_KEY_SIZE } from '../../crypto/image-keys.ts';
import { Secret } from '../../crypto/secret.ts';
import { discardImage } from '../../image/discard-image.ts';
import type { DaemonConfig } from '../handover/daemon-config.ts';
import { ORDERS_FD } from '../handover/descriptors.ts';
import { openLog } from '../handover/log-file.ts';
import { receiveConfig } from '../handover/orders.ts';
import { sendReport } from '../handover/reports.ts';
import { reportReady } from './caller.ts';
import { Daemon } from './daemon.ts';
import { DaemonNamespace } from './daemon-namespace.ts';
import { leaveFreezers, stayingInFreezers } from './freezer.ts';
import { type HintFor, Log } from './log.ts';
import { ServiceManager } from './service-manager.ts';
import { exitWithUnlocker, keyArrives, offerChannel } from './unlocker.ts';

const STANDARD_ERROR = 2;

/**
 * Runs the daemon of a mount, from its start to its end. It hardens itself, offers a channel for the image key, and
 * gets its configuration; the key arrives later. In the background it reports once it serves or has failed.
 * @param hintFor says in the log what can be done about an error
 */
export async function runDaemon(hintFor: HintFor): Promise<void> {
  const weaknesses = hardenProcess();
  const namespace = DaemonNamespace.enter();
  const channel = offerChannel();
  const config = receiveConfig(ORDERS_FD) ?? exitWithUnlocker();
  const log = openedLog(config, hintFor);
  const imageKey = Secret.zeros(IMAGE_KEY_SIZE);
  // In the foreground the service manager decides in which control group the daemon is.
  const warnings = config.logFile === undefined ? stayingInFreezers() : namespace.runInCallers(leaveFreezers);
  for (const warning of [...weaknesses, ...warnings]) log.warning(warning);
  if (!imageKey.locked) log.warning('keys may be swapped out: the limit of locked memory (ulimit -l) is too low');

  const onStarted = endOnSignals(config, log);
  const key = { imageKey, arrived: keyArrives(channel, imageKey, config) };
  const daemon = await Daemon.start(config, key, log, namespace).catch((error: unknown) => {
    imageKey.wipe();
    return fail(toPlainError(error), config, log);
  });
  onStarted(daemon);
  if (config.logFile !== undefined) await reportReady(daemon, config, warnings);
  const manager = new ServiceManager(config.notifySocket, (text) => log.warning(text));
  notify(manager, daemon, config);
  const failure = await daemon.ended();
  if (failure !== undefined) manager.status(failure.message);
  if (config.lingerSeconds !== undefined) await sleep(config.lingerSeconds * 1000);
  exitNow(failure === undefined ? 0 : exitCodeOf(failure, config));
}

/** Opens the log and makes it this process's output, which what Node itself prints then goes to. */
function openedLog(config: DaemonConfig, hintFor: HintFor): Log {
  if (config.logFile === undefined) return new Log(undefined, STANDARD_ERROR, hintFor);
  try {
    const fd = openLog(config.logFile);
    redirectOutput(fd);
    closeSync(fd);
    return new Log(config.logFile, STANDARD_ERROR, hintFor);
  } catch (error) {
    return fail(toPlainError(error), config);
  }
}

/**
 * Lets signals, and errors that nothing catches, end the mount. Returns a function that must be called when the mount
 * serves: a signal that came before takes effect then.
 */
function endOnSignals(config: DaemonConfig, log: Log): (daemon: Daemon) => void {
  let daemon: Daemon | undefined;
  let early: string | undefined;
  const onSignal = (signal: string): void => {
    if (daemon === undefined) early = signal;
    else void daemon.requestEnd(signal);
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
  // It is sent when a terminal closes. A mount in the background outlives its terminal.
  process.on('SIGHUP', config.logFile === undefined ? onSignal : () => undefined);
  process.on('uncaughtException', (error) => {
    log.error(`internal fault: ${toPlainError(error).stack}`);
    if (daemon === undefined) fail(toPlainError(error), config, log);
    else void daemon.detach('internal fault');
  });
  return (started) => {
    daemon = started;
    if (early !== undefined) void daemon.requestEnd(early);
  };
}

/** Tells a service manager that the mount serves and, once it is gone, what is left to do. */
function notify(manager: ServiceManager, { mount }: Daemon, { location, write }: DaemonConfig): void {
  manager.ready(`${write ? 'serving and writing' : 'serving'} ${location} on ${mount.mountPoint}`);
  void mount.stopped.then(() => {
    manager.stopping(write ? `unmounted; sealing ${location}` : `${mount.mountPoint} is unmounted`);
  });
}

/**
 * Ends the daemon, whose mount cannot be made.
 * @param log undefined when it is the log that cannot be opened
 */
function fail(error: PlainError, config: DaemonConfig, log?: Log): never {
  log?.failure(fromPlainError(error));
  removeMadeImage(config, log);
  try {
    if (config.logFile !== undefined) sendReport(error);
  } catch {
    // The process that started the daemon is gone; the log has the error.
  }
  exitNow(exitCodeOf(error, config));
}

/** Removes an image that was made for this mount alone. */
function removeMadeImage({ made }: DaemonConfig, log?: Log): void {
  try {
    if (made !== undefined) discardImage(made);
  } catch (error) {
    log?.warning(`the image that was made for this mount cannot be removed: ${toPlainError(error).message}`);
  }
}

function exitCodeOf({ code }: Pick<PlainError, 'code'>, { exitCodes }: DaemonConfig): number {
  return exitCodes?.[code] ?? 1;
}
