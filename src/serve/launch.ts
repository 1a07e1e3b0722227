import fs from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CkptfsError, ioError } from '../base/errors.ts';
import { IMAGE_KEY_SIZE } from '../crypto/image-keys.ts';
import type { Secret } from '../crypto/secret.ts';
import { CONFIG_LENGTH_SIZE, type DaemonConfig } from './config.ts';
import { logDirectory, ownStateDirectory } from './state-directory.ts';
import { makePipe } from './system-calls.ts';

/** What the background and the foreground daemon have in common: how one is started. */

/** Of a pipe, by default: what fits never makes the writer wait. */
const PIPE_CAPACITY = 65536;

const daemonProgram = fileURLToPath(new URL('./daemon-main.js', import.meta.url));

/**
 * A pipe that holds the configuration and has room for the image key behind it.
 * @returns both ends, which the caller closes
 * @throws CkptfsError `bad-argument` when paths and options are too long
 */
export function orderPipe(config: DaemonConfig): { readonly readEnd: number; readonly writeEnd: number } {
  const text = Buffer.from(JSON.stringify(config), 'utf8');
  const length = Buffer.alloc(CONFIG_LENGTH_SIZE);
  length.writeUInt32LE(text.length);
  const orders = Buffer.concat([length, text]);
  if (orders.length + IMAGE_KEY_SIZE > PIPE_CAPACITY) {
    throw new CkptfsError('bad-argument', 'paths and mount options are too long');
  }
  const { readEnd, writeEnd } = makePipe();
  fs.writeSync(writeEnd, orders);
  return { readEnd, writeEnd };
}

/** The key goes from its own memory to the kernel, without a copy. */
export function sendKey(writeEnd: number, imageKey: Secret): void {
  fs.writeSync(writeEnd, imageKey.bytes);
}

/** What ps shows of a daemon, and how it knows nothing else of it. */
export function daemonArguments({ location, mountPoint }: DaemonConfig): string[] {
  return [daemonProgram, location, mountPoint];
}

const passedOn = ['PATH', 'HOME', 'XDG_RUNTIME_DIR', 'XDG_STATE_HOME', 'LANG', 'TZ'] as const;

/** The daemon's environment: little, since a caller's may hold secrets, and what changes how Node runs. */
export function daemonEnvironment(): Record<string, string> {
  return Object.fromEntries(passedOn.flatMap((name) => (process.env[name] ? [[name, process.env[name]]] : [])));
}

interface OpenLog {
  readonly fd: number;
  readonly path: string;
}

/**
 * Opens the log of an image's daemons: the file named, or one named by image id in the log directory, or, where that cannot be written
 * to, beside the control sockets.
 * @throws CkptfsError `io`
 */
export function openLog(imageId: string, path: string | undefined): OpenLog {
  if (path !== undefined) return openLogFile(resolve(path));
  try {
    const directory = logDirectory();
    fs.mkdirSync(directory, { recursive: true, mode: 0o700 });
    return openLogFile(join(directory, `${imageId}.log`));
  } catch {
    return openLogFile(join(ownStateDirectory(), `${imageId}.log`));
  }
}

function openLogFile(path: string): OpenLog {
  const { O_APPEND, O_CREAT, O_NOFOLLOW, O_NONBLOCK, O_RDWR } = fs.constants;
  try {
    const fd = fs.openSync(path, O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_RDWR, 0o600);
    const found = fs.fstatSync(fd);
    if ((found.isFile() && found.uid === process.geteuid?.()) || found.isCharacterDevice()) return { fd, path };
    fs.closeSync(fd);
  } catch (cause) {
    throw ioError('open the log', path, cause);
  }
  throw new CkptfsError('io', `cannot log to ${path}: it is no file of this user`, { path });
}
