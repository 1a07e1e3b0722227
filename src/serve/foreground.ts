import fs from 'node:fs';
import type { ErrorCode } from '../base/errors.ts';
import type { Secret } from '../crypto/secret.ts';
import type { MadeImage } from '../image/discard-image.ts';
import type { DaemonConfig } from './config.ts';
import { daemonConfig, type MountOptions } from './daemon-config.ts';
import { daemonEnvironment, daemonProgram, sendConfig, sendKey } from './launch.ts';
import { makePipe, replaceProcess } from './system-calls.ts';

interface ForegroundOptions extends MountOptions {
  readonly imageKey: Secret;
  /** Exit code for each fault that keeps the daemon from serving, or from sealing what it wrote; 1 for those not named. */
  readonly exitCodes?: Readonly<Partial<Record<ErrorCode, number>>>;
  /** An image that was made for this mount alone: the daemon takes it back if it cannot serve. */
  readonly made?: MadeImage;
}

/**
 * Turns this process into the daemon, which logs to standard error: the pid stays, as service managers want it, and the memory in which
 * the key was unwrapped is gone. Never returns; the daemon exits with 0 once it was unmounted and, where it wrote, the image is sealed.
 * @throws CkptfsError as {@link daemonConfig}, while there still is something to return to
 */
export function serveForeground(options: ForegroundOptions): never {
  const { exitCodes, made } = options;
  const config: DaemonConfig = {
    ...daemonConfig(options).config,
    ...(exitCodes === undefined ? {} : { exitCodes }),
    ...(made === undefined ? {} : { made }),
  };
  const { readEnd, writeEnd } = makePipe();
  sendConfig(writeEnd, config);
  sendKey(writeEnd, options.imageKey);
  fs.closeSync(writeEnd);
  process.chdir('/');
  replaceProcess(process.execPath, [daemonProgram, config.location, config.mountPoint], daemonEnvironment(), readEnd);
}
