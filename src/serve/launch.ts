import fs from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CkptfsError, ioError } from '../base/errors.ts';
import { IMAGE_KEY_SIZE } from '../crypto/image-keys.ts';
import type { Secret } from '../crypto/secret.ts';
import { readHeader } from '../image/image.ts';
import { DEFAULT_CACHE_SIZE } from '../image/image-reader.ts';
import { openStore } from '../stores/open-store.ts';
import { CONFIG_LENGTH_SIZE, type DaemonConfig, type Transport } from './config.ts';
import { parseFuseOptions } from './fuse-options.ts';
import { logDirectory, ownStateDirectory } from './state-directory.ts';
import { makePipe } from './system-calls.ts';

/** What the background and the foreground daemon have in common: how one is configured and started. */

export interface MountOptions {
  /** The image, as a user writes it. */
  readonly location: string;
  /** A directory. */
  readonly mountPoint: string;
  readonly transport?: Transport;
  /** Threads that serve, 1 to 64; default one per core, at most 8. The transport fuse-native has one whatever is said. */
  readonly workers?: number;
  /** Bytes of verified chunks kept in memory, of all workers together. Default 64 MiB. */
  readonly cacheSize?: number;
  /** Let other users in, as far as modes and owners allow. */
  readonly allowOther?: boolean;
  /** Let root in besides the user who mounts. */
  readonly allowRoot?: boolean;
  /** Files made on the mount go to memory and are gone with it. Needs root and the transport kernel. */
  readonly scratch?: boolean;
  /** As given to `-o`, see {@link parseFuseOptions}. */
  readonly fuseOptions?: readonly string[];
}

interface DaemonOptions extends MountOptions {
  /** For tests alone, see {@link DaemonConfig}. */
  readonly lingerSeconds?: number;
}

const MAX_WORKERS = 64;
const DEFAULT_MAX_WORKERS = 8;
const MIN_CACHE_SIZE = 1 << 16;
/** Of a pipe, by default: what fits never makes the writer wait. */
const PIPE_CAPACITY = 65536;

const daemonProgram = fileURLToPath(new URL('./daemon-main.js', import.meta.url));

/**
 * Checks the options and the image's header as far as that goes without a daemon.
 * @throws CkptfsError `bad-argument`, `missing-feature`, and what {@link readHeader} throws
 */
export function daemonConfig(options: DaemonOptions): { readonly config: DaemonConfig; readonly imageId: string } {
  const { transport = 'kernel', scratch = false, cacheSize = DEFAULT_CACHE_SIZE } = options;
  const workers = options.workers ?? Math.min(DEFAULT_MAX_WORKERS, availableParallelism());
  const fuse = parseFuseOptions(options.fuseOptions ?? []);
  const allowOther = (options.allowOther ?? false) || fuse.allowOther;
  const allowRoot = (options.allowRoot ?? false) || fuse.allowRoot;
  if (!Number.isInteger(workers) || workers < 1 || workers > MAX_WORKERS) {
    throw new CkptfsError('bad-argument', `${workers} workers: 1 to ${MAX_WORKERS} are possible`);
  }
  if (!Number.isSafeInteger(cacheSize) || cacheSize < MIN_CACHE_SIZE) {
    throw new CkptfsError('bad-argument', `a cache of ${cacheSize} bytes: at least ${MIN_CACHE_SIZE} are needed`);
  }
  const isRoot = process.geteuid?.() === 0;
  if (scratch && !isRoot) throw new CkptfsError('missing-feature', 'only root can mount with scratch space');
  if (fuse.noExec && !isRoot) throw new CkptfsError('missing-feature', 'only root can mount with the option noexec');
  if (transport !== 'kernel' && (scratch || allowRoot)) {
    throw new CkptfsError('bad-argument', 'scratch space and allow_root need the transport kernel');
  }
  if (allowOther && allowRoot) {
    throw new CkptfsError('bad-argument', 'allow_other and allow_root exclude each other', {
      advice: 'allow_other lets root in too.',
    });
  }
  const location = resolve(options.location);
  const mountPoint = resolve(options.mountPoint);
  const imageId = readHeader(openStore(location)).imageId.toString('hex');
  checkApart(location, mountPoint);
  const config: DaemonConfig = {
    location,
    mountPoint,
    transport,
    workers: transport === 'kernel' ? workers : 1,
    cacheSize,
    allowOther,
    allowRoot,
    noExec: fuse.noExec,
    scratch,
    fsName: fuse.fsName ?? location,
    ...(options.lingerSeconds === undefined ? {} : { lingerSeconds: options.lingerSeconds }),
  };
  return { config, imageId };
}

/** A daemon whose image lies behind its own mount would wait for itself for ever. */
function checkApart(location: string, mountPoint: string): void {
  const image = realPath(location);
  const mount = realPath(mountPoint);
  if (!isWithin(image, mount) && !isWithin(mount, image)) return;
  throw new CkptfsError('bad-argument', `the mount on ${mountPoint} would hide its own image ${location}`, {
    path: mountPoint,
  });
}

function isWithin(path: string, directory: string): boolean {
  const way = relative(directory, path);
  return way !== '..' && !way.startsWith('../');
}

function realPath(path: string): string {
  try {
    return fs.realpathSync(path);
  } catch {
    return path;
  }
}

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
