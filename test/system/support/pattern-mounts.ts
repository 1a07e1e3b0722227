import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { unmount } from '../../../src/fuse/mount/mount-point.ts';
import { readMounts } from '../../../src/fuse/mount/mountinfo.ts';
import { PATIENCE } from './patience.ts';
import { PatternDaemon } from './pattern-daemon.ts';
import type { Feature } from './requirements.ts';

export const nobody = 65_534;

/** Runs one function of client_checks.py. @throws Error with its traceback */
export function check(name: string, mountPoint: string, uid = 0): void {
  runCheck(source('client_checks.py'), name, mountPoint, uid);
}

/** Runs one function of a file of checks for mounts that can be written. @throws Error with its traceback */
export function checkWriting(file: string, name: string, mountPoint: string): void {
  runCheck(source('checks.py') + source(file), name, mountPoint, 0);
}

function source(file: string): string {
  return readFileSync(new URL(file, import.meta.url), 'utf8');
}

function runCheck(program: string, name: string, mountPoint: string, uid: number): void {
  const as = ['setpriv', `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups'];
  const [command = '', ...args] = [...(uid === 0 ? [] : as), '/usr/bin/python3', '-', name, mountPoint];
  const result = spawnSync(command, args, { input: program, encoding: 'utf8', timeout: PATIENCE });
  // ETIMEDOUT, for one.
  if (result.error) throw new Error(`${name}: ${result.error.message}`, { cause: result.error });
  if (result.status !== 0) throw new Error(`${name}: ${result.stderr}`);
}

/** A directory of one test, by its real path. */
export let base: string;
/** A directory in {@link base}. */
export let mountPoint: string;
let daemons: PatternDaemon[];

/** To be run before each test. */
export function makeMountPoint(): void {
  base = realpathSync(mkdtempSync(join(tmpdir(), 'fuse-kernel-')));
  chmodSync(base, 0o755);
  mountPoint = join(base, 'mnt');
  mkdirSync(mountPoint);
  daemons = [];
}

/** To be run after each test: kills daemons and unmounts what is left below {@link base}. */
export async function clearMounts(): Promise<void> {
  for (const daemon of daemons) daemon.process.kill('SIGKILL');
  for (const mount of await readMounts()) {
    if (mount.mountPoint.startsWith(base)) await unmount(mount.mountPoint, { lazy: true });
  }
  rmSync(base, { recursive: true });
}

/** A daemon that {@link clearMounts} will end. */
export async function mount(...args: Parameters<typeof PatternDaemon.mount>): Promise<PatternDaemon> {
  const daemon = await PatternDaemon.mount(...args);
  daemons.push(daemon);
  return daemon;
}

/** Functions of client_checks.py that only read. */
export const readChecks = [
  'reading',
  'mapping',
  'copying',
  'direct',
  'holes',
  'attributes',
  'extended',
  'listing',
  'closing',
];
export const rootNeeds: Feature[] = ['root', 'fuse', 'python'];
