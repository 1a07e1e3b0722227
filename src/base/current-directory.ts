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

function currentDirectory(): string | undefined {
  try {
    return process.cwd();
  } catch {
    return undefined;
  }
}
