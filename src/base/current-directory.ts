import { isAbsolute, resolve } from 'node:path';
import { CkptfsError } from './errors.ts';

let wasLeft = false;

/**
 * Makes a path absolute, as path.resolve does, also where the current directory is gone and the path does not need it.
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
 * Leaves a current directory that is gone for the root directory: Node and packages ask for it where they need not, and fail. From then on
 * relative paths lead nowhere, as before, but only for {@link absolutePath}.
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
