import fs from 'node:fs';
import { fileURLToPath } from 'node:url';
import { CkptfsError, systemErrorName } from '../base/errors.ts';
import { CONFIG_LENGTH_SIZE, type DaemonConfig } from './config.ts';

/** What the background and the foreground daemon have in common: how one is started. */

/** More than any command line has. */
const MAX_CONFIG_SIZE = 65536;

export const daemonProgram = fileURLToPath(new URL('./daemon-main.js', import.meta.url));

/**
 * Tells a daemon its configuration. A daemon that is gone already says why by itself.
 * @throws CkptfsError `bad-argument` when paths and options are too long
 */
export function sendConfig(orders: number, config: DaemonConfig): void {
  const text = Buffer.from(JSON.stringify(config), 'utf8');
  if (text.length > MAX_CONFIG_SIZE) throw new CkptfsError('bad-argument', 'paths and mount options are too long');
  const length = Buffer.alloc(CONFIG_LENGTH_SIZE);
  length.writeUInt32LE(text.length);
  const bytes = Buffer.concat([length, text]);
  try {
    for (let done = 0; done < bytes.length; ) done += fs.writeSync(orders, bytes, done);
  } catch (cause) {
    if (!isGone(cause)) throw cause;
  }
}

/** Whether nobody is at the other end of a socket any more. */
export function isGone(cause: unknown): boolean {
  const name = systemErrorName(cause);
  return name === 'EPIPE' || name === 'ECONNRESET';
}

const passedOn = ['PATH', 'HOME', 'XDG_RUNTIME_DIR', 'XDG_STATE_HOME', 'LANG', 'TZ'] as const;

/** The daemon's environment: little, since a caller's may hold secrets, and what changes how Node runs. */
export function daemonEnvironment(): Record<string, string> {
  return Object.fromEntries(passedOn.flatMap((name) => (process.env[name] ? [[name, process.env[name]]] : [])));
}
