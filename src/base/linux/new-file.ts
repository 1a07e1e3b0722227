import { closeSync, constants as fsConstants, fsyncSync, writeSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { CkptfsError, ioError, systemErrorName } from '../errors.ts';
import { Directory } from './directory.ts';

/** What open(2) says of O_TMPFILE where the file system or the kernel does not have it. */
const NO_TMPFILE: ReadonlySet<string | undefined> = new Set(['EOPNOTSUPP', 'EISDIR', 'EINVAL', 'ENOENT']);

/**
 * A file that gets its name when all of it is written, and never in place of another one. Until then it has no name,
 * where the file system can do that, so that nothing of it stays when the process is killed.
 */
export class NewFile {
  readonly #path: string;
  readonly #name: string;
  readonly #directory: Directory;
  readonly #fd: number;
  /** The name that it has meanwhile, if it has one. */
  readonly #draft: string | undefined;
  #isDone = false;

  private constructor(path: string, directory: Directory, fd: number, draft: string | undefined) {
    this.#path = path;
    this.#name = basename(path);
    this.#directory = directory;
    this.#fd = fd;
    this.#draft = draft;
  }

  /** Begins a file for its owner alone. @throws CkptfsError `exists`, `io` */
  static create(path: string): NewFile {
    let directory: Directory | undefined;
    try {
      directory = Directory.open(dirname(path));
      if (directory.lstat(basename(path)) !== undefined) throw alreadyExists(path);
      const { O_WRONLY, O_CREAT, O_EXCL } = fsConstants;
      const nameless = openNameless(directory);
      if (nameless !== undefined) return new NewFile(path, directory, nameless, undefined);
      const draft = `.${basename(path).slice(0, 200)}.${process.pid}`;
      return new NewFile(path, directory, directory.openFile(draft, O_WRONLY | O_CREAT | O_EXCL, 0o600), draft);
    } catch (cause) {
      directory?.close();
      throw ioError('make', path, cause);
    }
  }

  /** Appends all of the bytes. @throws CkptfsError `io` */
  write(bytes: Uint8Array): void {
    try {
      for (let done = 0; done < bytes.length; ) done += writeSync(this.#fd, bytes, done);
    } catch (cause) {
      throw ioError('write', this.#path, cause);
    }
  }

  /** Makes it durable, and gives it its name. @throws CkptfsError `exists`, `io` */
  publish(): void {
    try {
      fsyncSync(this.#fd);
      if (this.#draft === undefined) this.#directory.linkDescriptor(this.#fd, this.#name);
      else this.#nameDraft(this.#draft);
      this.#isDone = true;
      this.#directory.sync();
    } catch (cause) {
      throw systemErrorName(cause) === 'EEXIST'
        ? alreadyExists(this.#path, cause)
        : ioError('write', this.#path, cause);
    }
  }

  #nameDraft(draft: string): void {
    try {
      this.#directory.rename(draft, this.#name, { replace: false });
    } catch (error) {
      if (systemErrorName(error) !== 'EINVAL') throw error;
      this.#directory.link(draft, this.#name);
      this.#directory.unlink(draft);
    }
  }

  /** Closes it, and removes it unless it was published. */
  close(): void {
    if (!this.#isDone && this.#draft !== undefined) this.#directory.unlink(this.#draft);
    closeSync(this.#fd);
    this.#directory.close();
  }
}

function openNameless(directory: Directory): number | undefined {
  try {
    return directory.openNameless();
  } catch (error) {
    if (NO_TMPFILE.has(systemErrorName(error))) return undefined;
    throw error;
  }
}

function alreadyExists(path: string, cause?: unknown): CkptfsError {
  return new CkptfsError('exists', `${path} already exists`, { path, data: { reason: 'file' }, cause });
}
