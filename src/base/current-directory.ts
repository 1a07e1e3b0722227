import { statSync } from 'node:fs';
import { isAbsolute, resolve } from 'node:path';
import { CkptfsError } from './errors.ts';

let wasLeft = false;

/**
 * Makes a path absolute, like path.resolve, also where the current directory is gone and the path does not need it.
 * @throws CkptfsError `bad-argument` when the path is relative to a directory that is gone
 */
export function absolutePath(path: string): string {
  if (isAbsolute(path)) return resolve(path);
  const directory = wasLeft ? undefined : currentDirectory();
  if (directory !== undefined) return resolve(directory, path);
  throw new CkptfsError('bad-argument', `${path} is a relative path, and the current directory was removed`, {
    data: { reason: 'relative-path' },
  });
}

/**
 * Changes to the root directory if the current directory is gone. Node and packages ask for it where they need not, and
 * fail. {@link absolutePath} goes on to refuse relative paths.
 */
export function leaveMissingDirectory(): void {
  if (currentDirectory() !== undefined) return;
  process.chdir('/');
  wasLeft = true;
}

/**
 * Returns what tells the current directory from one that another user puts in its place later. The number of its device
 * is no part of that: it changes when a network file system is mounted again.
 */
export function currentDirectoryMark(): string {
  const { ino, uid } = statSync('.', { bigint: true });
  return `${ino} of ${uid}`;
}

/**
 * Changes to a directory if it is there and has the mark that it had; otherwise to the root directory, from where
 * {@link absolutePath} refuses relative paths.
 * @param mark of {@link currentDirectoryMark}
 */
export function enterDirectory(path: string, mark: string): void {
  try {
    process.chdir(path);
    if (currentDirectoryMark() === mark) return;
  } catch {
    // It was removed, or may not be entered any more.
  }
  process.chdir('/');
  wasLeft = true;
}

function currentDirectory(): string | undefined {
  try {
    return process.cwd();
  } catch {
    return undefined;
  }
}
