import fs from 'node:fs';
import { join } from 'node:path';
import { ioError } from '../base/errors.ts';
import { Region } from '../base/native.ts';
import { writeAt } from '../base/posix.ts';
import { syncPath } from './local-files.ts';
import type { JournalDraft, JournalFile } from './writable-store.ts';

/** `journal.new`, until it is renamed into place. */
export class LocalJournalDraft implements JournalDraft {
  readonly #directory: string;
  readonly #draft: string;
  readonly #file: AppendedFile;

  /** Takes the place of a draft that somebody left. @throws CkptfsError `io` */
  constructor(directory: string) {
    this.#directory = directory;
    this.#draft = join(directory, 'journal.new');
    try {
      fs.rmSync(this.#draft, { force: true });
      this.#file = new AppendedFile(this.#draft, fs.openSync(this.#draft, 'wx', 0o600));
    } catch (cause) {
      throw ioError('create', this.#draft, cause);
    }
  }

  append(bytes: Uint8Array): void {
    this.#file.append(bytes);
  }

  publish(): JournalFile {
    this.#file.sync();
    try {
      fs.renameSync(this.#draft, join(this.#directory, 'journal'));
    } catch (cause) {
      throw ioError('rename', this.#draft, cause);
    }
    syncPath(this.#directory);
    return this.#file;
  }

  discard(): void {
    this.#file.close();
    try {
      fs.rmSync(this.#draft, { force: true });
    } catch (cause) {
      throw ioError('remove', this.#draft, cause);
    }
  }
}

/** A file that only grows, by whole appends. */
class AppendedFile implements JournalFile {
  readonly #path: string;
  readonly #fd: number;
  #size = 0;
  /** Whether something may stand behind `#size`. */
  #hasTail = false;

  /** @param fd of an empty file */
  constructor(path: string, fd: number) {
    this.#path = path;
    this.#fd = fd;
  }

  get size(): number {
    return this.#size;
  }

  append(bytes: Uint8Array): void {
    try {
      // Left where cutting failed too: what is appended now must not end within it.
      this.#cutTail();
      this.#hasTail = true;
      writeAt(this.#fd, new Region(bytes), 0, bytes.length, this.#size);
      this.#size += bytes.length;
      this.#hasTail = false;
    } catch (cause) {
      const failure = ioError('write', this.#path, cause);
      try {
        this.#cutTail();
      } catch {
        // The first failure is the one to tell; the next append tries again, and fails if this still does.
      }
      throw failure;
    }
  }

  sync(): void {
    try {
      fs.fdatasyncSync(this.#fd);
    } catch (cause) {
      throw ioError('make durable', this.#path, cause);
    }
  }

  close(): void {
    fs.closeSync(this.#fd);
  }

  #cutTail(): void {
    if (!this.#hasTail) return;
    fs.ftruncateSync(this.#fd, this.#size);
    this.#hasTail = false;
  }
}
