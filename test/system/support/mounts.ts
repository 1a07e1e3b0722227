import { type ChildProcess, spawn } from 'node:child_process';
import fs from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SERVED_BEFORE_THREADS } from '../../../src/base/tuning.ts';
import type { MountStatus } from '../../../src/serve/control/status.ts';
import { ckptfs } from './ckptfs.ts';
import { PATIENCE } from './patience.ts';
import { runProgram } from './programs.ts';
import { toolEnvironment } from './requirements.ts';

export const ckptfsProgram = fileURLToPath(new URL('../../../bin/ckptfs', import.meta.url));

/** A module of the built library, typed by its source. */
export async function built<T>(path: string): Promise<T> {
  return (await import(new URL(`../../../dist/${path}`, import.meta.url).href)) as T;
}

export interface Encrypted {
  readonly source: string;
  readonly image: string;
  readonly keyFile: string;
}

/** Encrypts `source` with a new key; image and key file lie beside each other in `base`. */
export function encryptInto(base: string, source: string, ...options: readonly string[]): Encrypted {
  const image = join(base, 'enc');
  const keyFile = join(base, 'key');
  ckptfs('keygen', '-o', keyFile);
  ckptfs('encrypt', source, image, '--key-file', keyFile, '--quiet', ...options);
  return { source, image, keyFile };
}

/** A daemon as `ckptfs mount --json` names it. */
export interface Mounted {
  readonly pid: number;
  readonly logFile: string;
  readonly mountPoint: string;
}

/** Mounts in the background, with the log beside the image; the caller unmounts. */
export function mountOn(mountPoint: string, { image, keyFile }: Encrypted, ...options: readonly string[]): Mounted {
  fs.mkdirSync(mountPoint, { recursive: true });
  const common = ['--key-file', keyFile, '--log-file', `${image}.log`, '--json'];
  return JSON.parse(ckptfs('mount', image, mountPoint, ...common, ...options)) as Mounted;
}

/**
 * Mounts an image to be written on, with a new key, that is made by that; image, key and log lie beside each other in
 * `base`.
 */
export function mountNew(base: string, mountPoint: string, ...options: readonly string[]): [Encrypted, Mounted] {
  const encrypted = { source: mountPoint, image: join(base, 'enc'), keyFile: join(base, 'key') };
  if (!fs.existsSync(encrypted.keyFile)) ckptfs('keygen', '-o', encrypted.keyFile);
  return [encrypted, mountOn(mountPoint, encrypted, '--write', ...options)];
}

/** What `ckptfs status --json` tells of one mount; there may be others, which are not ours. */
export function statusOf(mountPoint: string, output: string = ckptfs('status', '--json')): MountStatus | undefined {
  return (JSON.parse(output) as MountStatus[]).find((one) => one.mountPoint === mountPoint);
}

/** Removes everything that a test left, whatever became of it. */
export function clear(mountPoint: string): void {
  for (let layer = 0; layer < 3; layer++) {
    const lines = fs.readFileSync('/proc/self/mounts', 'utf8').split('\n');
    if (!lines.some((line) => line.split(' ')[1] === mountPoint)) return;
    runProgram('umount', '--lazy', mountPoint);
  }
}

/** Whether a process runs. One does not that has ended, with its last thread, and was not reaped yet. */
export function isAlive(pid: number): boolean {
  try {
    const status = fs.readFileSync(`/proc/${pid}/status`, 'utf8');
    return !/^State:\t[ZX]/m.test(status) || !/^Threads:\t[01]$/m.test(status);
  } catch {
    return false;
  }
}

/** @throws Error when it does not become true within `milliseconds` */
export async function until(what: string, condition: () => boolean, milliseconds = PATIENCE): Promise<void> {
  const deadline = Date.now() + milliseconds;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`not in time: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Reads a file past the page cache until the serving threads of a mount answer: they have clones of the device. */
export async function untilThreadsServe(pid: number, file: string): Promise<void> {
  const fd = fs.openSync(file, fs.constants.O_RDONLY | fs.constants.O_DIRECT);
  const piece = Buffer.alloc(1 << 20);
  try {
    await until('the serving threads serve', () => {
      for (let read = 0; read <= SERVED_BEFORE_THREADS; ) read += fs.readSync(fd, piece, 0, piece.length, 0);
      return descriptorsOf(pid).filter((path) => path === '/dev/fuse').length > 1;
    });
  } finally {
    fs.closeSync(fd);
  }
}

/** What the descriptors of a process lead to. */
function descriptorsOf(pid: number): string[] {
  return fs.readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
    try {
      return [fs.readlinkSync(`/proc/${pid}/fd/${fd}`)];
    } catch {
      // It was closed meanwhile.
      return [];
    }
  });
}

/** Starts a program in the background with its output in `output`, a file; the caller kills it. */
export function start(output: string, program: string, ...args: readonly string[]): ChildProcess {
  const fd = fs.openSync(output, 'w');
  try {
    return spawn(program, args, { env: toolEnvironment, stdio: ['ignore', fd, fd] });
  } finally {
    fs.closeSync(fd);
  }
}

/** The lines of a daemon's log that tell of one of its processes. */
export function logOf({ logFile, pid }: Mounted): string[] {
  const lines = fs.readFileSync(logFile, 'utf8').split('\n');
  return lines.filter((line) => line.includes(`ckptfs[${pid}]`));
}

/** Lets every user open /dev/fuse while `body` runs, as it is on most hosts. */
export async function withFuseForAll<T>(body: () => T | Promise<T>): Promise<T> {
  const { mode } = fs.statSync('/dev/fuse');
  fs.chmodSync('/dev/fuse', 0o666);
  try {
    return await body();
  } finally {
    fs.chmodSync('/dev/fuse', mode & 0o777);
  }
}

/** Returns program and arguments that run the rest as the user `nobody`, with a home of its own. */
export function asNobody(home: string): [string, ...string[]] {
  const user = ['--reuid', '65534', '--regid', '65534', '--clear-groups'];
  return ['setpriv', ...user, 'env', '--ignore-environment', `PATH=${process.env['PATH']}`, `HOME=${home}`];
}
