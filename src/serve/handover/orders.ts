import { readSync, writeSync } from 'node:fs';
import { CkptfsError, systemErrorName } from '../../base/errors.ts';
import type { DaemonConfig } from './daemon-config.ts';

/** The configuration goes from the command to the daemon as a u32, little-endian, and so many bytes of JSON. */
const LENGTH_SIZE = 4;
/** Longer than any command line. */
const MAX_CONFIG_SIZE = 65536;

/**
 * In the command: sends the configuration. It is no error when the daemon is gone, as its reports say why.
 * @throws CkptfsError `bad-argument` when paths and options are too long
 */
export function sendConfig(orders: number, config: DaemonConfig): void {
  const text = Buffer.from(JSON.stringify(config), 'utf8');
  if (text.length > MAX_CONFIG_SIZE) throw new CkptfsError('bad-argument', 'paths and mount options are too long');
  const length = Buffer.alloc(LENGTH_SIZE);
  length.writeUInt32LE(text.length);
  const bytes = Buffer.concat([length, text]);
  try {
    for (let done = 0; done < bytes.length; ) done += writeSync(orders, bytes, done);
  } catch (cause) {
    if (!isPeerClosed(cause)) throw cause;
  }
}

/**
 * In the daemon: waits for the configuration. Returns undefined when the command closes its end before it sent all, and
 * when what it sends is longer than a configuration can be.
 */
export function receiveConfig(orders: number): DaemonConfig | undefined {
  const length = receive(orders, LENGTH_SIZE);
  const size = length?.readUInt32LE() ?? 0;
  const text = size === 0 || size > MAX_CONFIG_SIZE ? undefined : receive(orders, size);
  return text === undefined ? undefined : (JSON.parse(text.toString('utf8')) as DaemonConfig);
}

function receive(orders: number, length: number): Buffer | undefined {
  const bytes = Buffer.alloc(length);
  for (let done = 0; done < length; ) {
    const count = readUntilClosed(orders, bytes, done);
    if (count === 0) return undefined;
    done += count;
  }
  return bytes;
}

/** A socket whose other end was closed while something in it was unread fails once, and only then shows its end. */
function readUntilClosed(orders: number, bytes: Buffer, offset: number): number {
  try {
    return readSync(orders, bytes, offset, bytes.length - offset, null);
  } catch (cause) {
    if (isPeerClosed(cause)) return 0;
    throw cause;
  }
}

/** Returns whether a call on a socket failed because its other end is closed. */
export function isPeerClosed(cause: unknown): boolean {
  const name = systemErrorName(cause);
  return name === 'EPIPE' || name === 'ECONNRESET';
}
