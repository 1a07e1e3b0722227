import fs from 'node:fs';
import { fileURLToPath } from 'node:url';
import { CkptfsError } from '../../base/errors.ts';
import { programUrl } from '../../base/program-url.ts';
import { CONFIG_LENGTH_SIZE, type DaemonConfig } from '../handover/config.ts';
import { isGone } from '../handover/key-channel.ts';

/** What the background and the foreground daemon have in common: how one is started. */

/** More than any command line has. */
const MAX_CONFIG_SIZE = 65536;

export const daemonProgram = fileURLToPath(programUrl('daemon'));

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

const passedOn = ['PATH', 'HOME', 'XDG_RUNTIME_DIR', 'XDG_STATE_HOME', 'LANG', 'TZ'] as const;

/** The daemon's environment: little, since a caller's may hold secrets, and what changes how Node runs. */
export function daemonEnvironment(): Record<string, string> {
  return Object.fromEntries(passedOn.flatMap((name) => (process.env[name] ? [[name, process.env[name]]] : [])));
}
