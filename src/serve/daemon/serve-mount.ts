import { setTimeout as sleep } from 'node:timers/promises';
import { type CkptfsError, type PlainError, toPlainError } from '../../base/errors.ts';
import { exitNow } from '../../base/linux/processes.ts';
import { type DaemonConfig, nameOf } from '../handover/daemon-config.ts';
import { Daemon } from './daemon.ts';
import type { DaemonNamespace } from './daemon-namespace.ts';
import type { Log } from './log.ts';
import type { PendingKey } from './served-mount.ts';
import { ServiceManager } from './service-manager.ts';

/** The process that asked for a mount, and has to hear what becomes of it. */
export interface Asker {
  /** Is called when the mount serves. */
  serving(daemon: Daemon): Promise<void> | void;
  /** Ends this process, whose mount cannot be made. */
  failed(error: PlainError, log: Log): never;
}

/** Makes a mount and serves it, in this process, until it is gone. Wipes the key, and ends the process. */
export async function serveMount(
  config: DaemonConfig,
  key: PendingKey,
  log: Log,
  namespace: DaemonNamespace,
  asker: Asker,
): Promise<never> {
  const onStarted = endOnSignals(config, log, asker);
  const daemon = await Daemon.start(config, key, log, namespace).catch((error: unknown) => {
    key.imageKey.wipe();
    return asker.failed(toPlainError(error), log);
  });
  onStarted(daemon);
  await asker.serving(daemon);
  const manager = new ServiceManager(config.notifySocket, (text) => log.warning(text));
  notify(manager, daemon, config);
  const failure = await daemon.ended();
  if (failure !== undefined) manager.status(failure.message);
  if (config.lingerSeconds !== undefined) await sleep(config.lingerSeconds * 1000);
  exitNow(failure === undefined ? 0 : exitCodeOf(failure, config));
}

/**
 * Lets signals, and errors that nothing catches, end the mount. Returns a function that must be called when the mount
 * serves: a signal that came before takes effect then.
 */
function endOnSignals(config: DaemonConfig, log: Log, asker: Asker): (daemon: Daemon) => void {
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
    if (daemon === undefined) asker.failed(toPlainError(error), log);
    else void daemon.detach('internal fault');
  });
  return (started) => {
    daemon = started;
    if (early !== undefined) void daemon.requestEnd(early);
  };
}

/** Tells a service manager that the mount serves and, once it is gone, what is left to do. */
function notify(manager: ServiceManager, { mount }: Daemon, config: DaemonConfig): void {
  const { write, ephemeral } = config;
  const location = nameOf(config);
  manager.ready(`${write ? 'serving and writing' : 'serving'} ${location} on ${mount.mountPoint}`);
  void mount.stopped.then(() => {
    const isSealing = write && ephemeral === undefined;
    manager.stopping(isSealing ? `unmounted; sealing ${location}` : `${mount.mountPoint} is unmounted`);
  });
}

export function exitCodeOf({ code }: Pick<CkptfsError, 'code'>, { exitCodes }: DaemonConfig): number {
  return exitCodes?.[code] ?? 1;
}
