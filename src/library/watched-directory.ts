import { accessSync, constants } from 'node:fs';
import { absolutePath } from '../base/current-directory.ts';
import { CkptfsError, ioError, systemErrorName } from '../base/errors.ts';
import { Directory } from '../base/linux/directory.ts';

/**
 * A directory in which archives appear. It is open only while it is used, so that the kernel tells that it is removed;
 * what was put in its place then is not taken for it.
 */
export class WatchedDirectory {
  /** Absolute. */
  readonly path: string;
  readonly #identity: string;

  private constructor(path: string, identity: string) {
    this.path = path;
    this.#identity = identity;
  }

  /** Accepts a directory from which files can be removed. @throws CkptfsError `io` */
  static at(location: string): WatchedDirectory {
    const path = absolutePath(location);
    return withDirectory(path, (directory) => {
      accessSync(`/proc/self/fd/${directory.fd}`, constants.R_OK | constants.W_OK | constants.X_OK);
      return new WatchedDirectory(path, identityOf(directory));
    });
  }

  /** Opens it for `work`. @throws CkptfsError `io`, also when it was removed or replaced; what `work` throws */
  use<T>(work: (directory: Directory) => T): T {
    return withDirectory(this.path, (directory) => {
      if (identityOf(directory) === this.#identity) return work(directory);
      throw new CkptfsError('io', `${this.path} was replaced by another directory`, { path: this.path });
    });
  }
}

function identityOf(directory: Directory): string {
  const { dev, ino } = directory.stat();
  return `${dev}:${ino}`;
}

/** @throws CkptfsError `io` for the error of a system call; anything else as it is */
function fail(path: string, cause: unknown): never {
  throw systemErrorName(cause) === undefined ? cause : ioError('use', path, cause);
}

/** Opens a directory for work, which may be asynchronous. @throws CkptfsError `io`; what `work` throws */
function withDirectory<T>(path: string, work: (directory: Directory) => T): T {
  let directory: Directory | undefined;
  try {
    directory = Directory.open(path);
    const opened = directory;
    const result = work(opened);
    if (!(result instanceof Promise)) return result;
    directory = undefined;
    return result.catch((cause: unknown) => fail(path, cause)).finally(() => opened.close()) as T;
  } catch (cause) {
    return fail(path, cause);
  } finally {
    directory?.close();
  }
}
