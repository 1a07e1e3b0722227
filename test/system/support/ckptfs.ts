import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { CommandResult } from './namespace.ts';
import { PATIENCE } from './patience.ts';
import { toolEnvironment } from './requirements.ts';

const program = fileURLToPath(new URL('../../../bin/ckptfs', import.meta.url));

/** Runs the built `bin/ckptfs` as a user would and returns what it left; an exit code is the caller's to judge. */
export function runCkptfs(...args: readonly string[]): CommandResult {
  const result = spawnSync(program, args, { env: toolEnvironment, encoding: 'utf8', timeout: PATIENCE });
  if (result.error) throw result.error;
  return { status: result.status, stdout: result.stdout, stderr: result.stderr };
}

/**
 * Runs `bin/ckptfs` and returns its stdout.
 *
 * @throws Error with its stderr where it exits with another code than 0
 */
export function ckptfs(...args: readonly string[]): string {
  const { status, stdout, stderr } = runCkptfs(...args);
  if (status !== 0) throw new Error(`ckptfs ${args.join(' ')} exited with ${status}: ${stderr}`);
  return stdout;
}

/** Whether something is mounted at `path` right now, without touching the mount itself. */
export function isMounted(path: string): boolean {
  const mounts = readFileSync('/proc/self/mounts', 'utf8').split('\n');
  return mounts.some((line) => line.split(' ')[1] === path);
}

/**
 * Mounts an image, runs `body` and unmounts again, also where `body` throws.
 *
 * @param options further options of `ckptfs mount`
 */
export async function withMount<T>(
  image: string,
  mountPoint: string,
  keyFile: string,
  options: readonly string[],
  body: () => Promise<T>,
): Promise<T> {
  mkdirSync(mountPoint, { recursive: true });
  ckptfs('mount', image, mountPoint, '--key-file', keyFile, ...options);
  try {
    return await body();
  } finally {
    if (isMounted(mountPoint)) ckptfs('umount', mountPoint);
  }
}
