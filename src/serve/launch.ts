import fs from 'node:fs';
import { fileURLToPath } from 'node:url';
import { CkptfsError, systemErrorName } from '../base/errors.ts';
import type { Secret } from '../crypto/secret.ts';
import { CONFIG_LENGTH_SIZE, type DaemonConfig } from './config.ts';

/** What the background and the foreground daemon have in common: how one is started. */

/** Bytes that a pipe holds without making the writer wait, less room for the image key. */
const MAX_ORDERS = 65536 - 4096;

export const daemonProgram = fileURLToPath(new URL('./daemon-main.js', import.meta.url));

/**
 * Puts the configuration into a daemon's pipe; the image key may follow. A daemon that is gone already says why by itself.
 * @throws CkptfsError `bad-argument` when paths and options are too long
 */
export function sendConfig(orders: number, config: DaemonConfig): void {
  const text = Buffer.from(JSON.stringify(config), 'utf8');
  if (CONFIG_LENGTH_SIZE + text.length > MAX_ORDERS) {
    throw new CkptfsError('bad-argument', 'paths and mount options are too long');
  }
  const length = Buffer.alloc(CONFIG_LENGTH_SIZE);
  length.writeUInt32LE(text.length);
  send(orders, Buffer.concat([length, text]));
}

/** The key goes from its own memory to the kernel, without a copy. */
export function sendKey(orders: number, imageKey: Secret): void {
  send(orders, imageKey.bytes);
}

function send(orders: number, bytes: Uint8Array): void {
  try {
    fs.writeSync(orders, bytes);
  } catch (cause) {
    if (systemErrorName(cause) !== 'EPIPE') throw cause;
  }
}

const passedOn = ['PATH', 'HOME', 'XDG_RUNTIME_DIR', 'XDG_STATE_HOME', 'LANG', 'TZ'] as const;

/** The daemon's environment: little, since a caller's may hold secrets, and what changes how Node runs. */
export function daemonEnvironment(): Record<string, string> {
  return Object.fromEntries(passedOn.flatMap((name) => (process.env[name] ? [[name, process.env[name]]] : [])));
}
