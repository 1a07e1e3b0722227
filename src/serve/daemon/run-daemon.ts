import { closeSync } from 'node:fs';
import { CkptfsError, fromPlainError, type PlainError, toPlainError } from '../../base/errors.ts';
import { redirectOutput } from '../../base/linux/descriptors.ts';
import { exitNow } from '../../base/linux/processes.ts';
import { hardenProcess } from '../../crypto/hardening.ts';
import { IMAGE_KEY_SIZE } from '../../crypto/image-keys.ts';
import { isFipsDemanded } from '../../crypto/provider.ts';
import { Secret } from '../../crypto/secret.ts';
import { discardImage } from '../../image/discard-image.ts';
import type { DaemonConfig } from '../handover/daemon-config.ts';
import { ORDERS_FD } from '../handover/descriptors.ts';
import type { KeyOrigin } from '../handover/key-channel.ts';
import { openLog } from '../handover/log-file.ts';
import { receiveConfig } from '../handover/orders.ts';
import { sendReport } from '../handover/reports.ts';
import { reportReady } from './caller.ts';
import { DaemonNamespace } from './daemon-namespace.ts';
import { leaveFreezers, stayingInFreezers } from './freezer.ts';
import { type HintFor, Log } from './log.ts';
import { onceEnded } from './process-watch.ts';
import { exitCodeOf, serveMount } from './serve-mount.ts';
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
  if (config.fipsProvider === true && !isFipsDemanded()) fail(withoutProvider(), config, log);
  const imageKey = Secret.zeros(config.criu?.secretsSize ?? IMAGE_KEY_SIZE);
  // In the foreground the service manager decides in which control group the daemon is.
  const warnings = config.logFile === undefined ? stayingInFreezers() : namespace.runInCallers(leaveFreezers);
  for (const warning of [...weaknesses, ...warnings]) log.warning(warning);
  if (!imageKey.locked) log.warning('keys may be swapped out: the limit of locked memory (ulimit -l) is too low');

  const unopened: { readonly imageKey: Secret; origin: KeyOrigin } = { imageKey, origin: {} };
  const arrived = keyArrives(channel, unopened, config);
  const key = { imageKey, arrived, origin: () => unopened.origin };
  await serveMount(config, key, log, namespace, {
    serving: async (daemon) => {
      if (config.logFile !== undefined) await reportReady(daemon, config, [...warnings, ...daemon.mount.warnings]);
      if (config.endWithProcess === undefined) return;
      onceEnded(config.endWithProcess, () => void daemon.detach('the process that this mount was made for has ended'));
    },
    failed: (error) => fail(error, config, log),
  });
}

/** Opens the log and makes it this process's output, which what Node itself prints then goes to. */
function openedLog(config: DaemonConfig, hintFor: HintFor): Log {
  if (config.logFile === undefined) return new Log(undefined, STANDARD_ERROR, hintFor, config.logFormat);
  try {
    const fd = openLog(config.logFile);
    redirectOutput(fd);
    closeSync(fd);
    return new Log(config.logFile, STANDARD_ERROR, hintFor, config.logFormat);
  } catch (error) {
    return fail(toPlainError(error), config);
  }
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

/** A relative path in OPENSSL_CONF leads elsewhere from here, and options of Node are not passed on. */
function withoutProvider(): PlainError {
  const what = "OpenSSL's FIPS provider computes in the command, and would not in the daemon of the mount";
  return toPlainError(new CkptfsError('missing-feature', what, { data: { feature: 'fips-provider' } }));
}

/** Removes an image that was made for this mount alone. */
function removeMadeImage({ made }: DaemonConfig, log?: Log): void {
  try {
    if (made !== undefined) discardImage(made);
  } catch (error) {
    log?.warning(`the image that was made for this mount cannot be removed: ${toPlainError(error).message}`);
  }
}
