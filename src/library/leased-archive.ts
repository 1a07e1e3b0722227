import { createReadStream, constants as fsConstants, fstatSync } from 'node:fs';
import { Readable } from 'node:stream';
import { CkptfsError, ioError, systemErrorName } from '../base/errors.ts';
import { closeDescriptor, duplicateFrom, setCloseOnExec } from '../base/linux/descriptors.ts';
import type { Directory } from '../base/linux/directory.ts';
import { holdsReadLease, takeReadLease } from '../base/linux/read-leases.ts';
import { pathIn } from './archive-names.ts';
import { type FileIdentity, identityOf } from './file-identity.ts';

const FIRST_AFTER_STANDARD = 3;
/** Bytes that are read at once. */
const READ_SIZE = 1 << 20;
/** How often it is looked whether a process waits to write. */
const LOOK_MILLISECONDS = 500;

/** An archive that is open to be read and has no writer, as long as {@link checkUndisturbed} does not throw. */
export class LeasedArchive {
  readonly name: Buffer;
  /** The path of its directory. */
  readonly directory: string;
  readonly #fd: number;

  private constructor(name: Buffer, directory: string, fd: number) {
    this.name = name;
    this.directory = directory;
    this.#fd = fd;
  }

  /** Its directory and name, for messages. */
  get path(): string {
    return pathIn(this.directory, this.name);
  }

  /**
   * Opens a regular file. A symbolic link is not followed.
   * @returns undefined when there is none of the name, or a process still writes it
   * @throws CkptfsError `unsupported-source` for anything else, `missing-feature` without leases, `io`
   */
  static open(directory: Directory, name: Buffer): LeasedArchive | undefined {
    const parent = directory.path();
    const path = pathIn(parent, name);
    let fd: number | undefined;
    try {
      const found = directory.lstat(name);
      if (found === undefined) return undefined;
      // Before it is opened, which does something to some devices; and after, as another one may be there by then.
      if (found.isFile()) fd = directory.openFile(name, fsConstants.O_RDONLY);
      if (fd === undefined || !fstatSync(fd).isFile()) throw notRegular(path);
      const archive = takeLease(fd, path) ? new LeasedArchive(name, parent, fd) : undefined;
      if (archive !== undefined) fd = undefined;
      return archive;
    } catch (cause) {
      if (systemErrorName(cause) === 'ENOENT') return undefined;
      throw systemErrorName(cause) === 'ELOOP' ? notRegular(path) : ioError('read', path, cause);
    } finally {
      if (fd !== undefined) closeDescriptor(fd);
    }
  }

  /** What the file is now. */
  get identity(): FileIdentity {
    return identityOf(fstatSync(this.#fd, { bigint: true }));
  }

  /** How many names the file has, once {@link name} was removed. */
  get otherNames(): number {
    return fstatSync(this.#fd).nlink;
  }

  /** @throws CkptfsError `source-changed` when a process wants to write it, or was allowed to */
  checkUndisturbed(): void {
    if (holdsReadLease(this.#fd)) return;
    throw new CkptfsError('source-changed', `${this.path} was opened to be written meanwhile`, { path: this.path });
  }

  /**
   * Runs work that `signal` ends, and ends it as soon as another process wants to write the archive, which waits for
   * that.
   * @throws CkptfsError `source-changed` then; what `work` throws
   */
  async whileUndisturbed<T>(signal: AbortSignal | undefined, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const end = new AbortController();
    const stop = (): void => end.abort();
    signal?.addEventListener('abort', stop);
    if (signal?.aborted === true) stop();
    const look = setInterval(() => {
      if (!holdsReadLease(this.#fd)) stop();
    }, LOOK_MILLISECONDS);
    try {
      return await work(end.signal);
    } catch (error) {
      if (signal?.aborted !== true) this.checkUndisturbed();
      throw error;
    } finally {
      clearInterval(look);
      signal?.removeEventListener('abort', stop);
    }
  }

  /** Reads it from its start. The stream fails as {@link checkUndisturbed} does. */
  stream(): Readable {
    return Readable.from(this.#pieces(), { objectMode: false });
  }

  /** Gives the lease up. */
  close(): void {
    closeDescriptor(this.#fd);
  }

  async *#pieces(): AsyncGenerator<Buffer> {
    // The stream closes its own. It is made here, as what is not begun is not ended either.
    const fd = duplicateFrom(this.#fd, FIRST_AFTER_STANDARD);
    setCloseOnExec(fd, true);
    for await (const piece of createReadStream('', { fd, start: 0, highWaterMark: READ_SIZE })) {
      this.checkUndisturbed();
      yield piece as Buffer;
    }
  }
}

/** @throws CkptfsError `missing-feature`, `io` */
function takeLease(fd: number, path: string): boolean {
  try {
    return takeReadLease(fd);
  } catch (cause) {
    if (systemErrorName(cause) === 'EACCES') throw ioError('take a lease on', path, cause);
    const message = `${path}: its file system has no leases, so that it is not known whether a process still writes it`;
    throw new CkptfsError('missing-feature', message, { path, data: { feature: 'leases' }, cause });
  }
}

function notRegular(path: string): CkptfsError {
  return new CkptfsError('unsupported-source', `${path} is not a regular file`, {
    path,
    data: { reason: 'malformed-archive' },
  });
}
