import { fdatasyncSync, ftruncateSync } from 'node:fs';
import { ioError } from '../base/errors.ts';
import { closeDescriptor } from '../base/linux/descriptors.ts';
import { reserveRoom, writeAt } from '../base/linux/files.ts';
import { Region } from '../base/linux/native.ts';
import type { ImageDirectory } from './image-directory.ts';
import { createFile, removeFile, syncDirectory, type Where } from './local-files.ts';
import type { JournalDraft, JournalFile } from './writable-store.ts';

export const JOURNAL_DRAFT = 'journal.new';

/** The file `journal.new`, until it is renamed into place, or for ever. */
export class LocalJournalDraft implements JournalDraft {
  readonly #directory: ImageDirectory;
  readonly #name: 'journal' | typeof JOURNAL_DRAFT;
  readonly #file: AppendedFile;

  /**
   * Makes the file, in place of a draft that is there.
   * @param name what it is renamed to
   * @throws CkptfsError `io`
   */
  constructor(directory: ImageDirectory, name: 'journal' | typeof JOURNAL_DRAFT) {
    this.#directory = directory;
    this.#name = name;
    try {
      removeFile(directory.root, JOURNAL_DRAFT);
      this.#file = new AppendedFile(() => directory.pathOf(name), createFile(directory.root, JOURNAL_DRAFT));
    } catch (cause) {
      throw ioError('create', directory.pathOf(JOURNAL_DRAFT), cause);
    }
  }

  append(bytes: Uint8Array): void {
    this.#file.append(bytes);
  }

  publish(): JournalFile {
    try {
      this.#file.sync();
      this.#rename();
      syncDirectory(this.#directory.root);
    } catch (error) {
      this.#file.close();
      throw error;
    }
    return this.#file;
  }

  discard(): void {
    this.#file.close();
    try {
      removeFile(this.#directory.root, JOURNAL_DRAFT);
    } catch (cause) {
      throw ioError('remove', this.#directory.pathOf(JOURNAL_DRAFT), cause);
    }
  }

  #rename(): void {
    if (this.#name === JOURNAL_DRAFT) return;
    try {
      this.#directory.root.rename(JOURNAL_DRAFT, this.#name);
    } catch (cause) {
      throw ioError('rename', this.#directory.pathOf(JOURNAL_DRAFT), cause);
    }
  }
}

/** Bytes that are reserved after the end of a journal. Its size does not include them: format.md §8. */
const RESERVE = 64 << 10;

/** A file to which whole pieces are appended. */
class AppendedFile implements JournalFile {
  readonly #where: Where;
  readonly #fd: number;
  #size = 0;
  /** Whether the file may have bytes after `#size`. */
  #hasTail = false;
  /** The offset up to which space is reserved. */
  #reserved = 0;

  /** @param fd of an empty file */
  constructor(where: Where, fd: number) {
    this.#where = where;
    this.#fd = fd;
  }

  get size(): number {
    return this.#size;
  }

  append(bytes: Uint8Array): void {
    try {
      // A tail is left when the cut failed as well. What is appended now might be shorter than it.
      this.#cutTail();
      this.#hasTail = true;
      writeAt(this.#fd, new Region(bytes), 0, bytes.length, this.#size);
      this.#size += bytes.length;
      this.#hasTail = false;
      this.#reserve();
    } catch (cause) {
      const failure = ioError('write', this.#where(), cause);
      try {
        this.#cutTail();
      } catch {
        // The first failure is the one to report. The next append cuts again, and fails if that still fails.
      }
      throw failure;
    }
  }

  sync(): void {
    try {
      fdatasyncSync(this.#fd);
    } catch (cause) {
      throw ioError('make durable', this.#where(), cause);
    }
  }

  close(): void {
    try {
      closeDescriptor(this.#fd);
    } catch (cause) {
      throw ioError('close', this.#where(), cause);
    }
  }

  #cutTail(): void {
    if (!this.#hasTail) return;
    ftruncateSync(this.#fd, this.#size);
    this.#hasTail = false;
    // Cutting gave back the space that was reserved after the end.
    this.#reserved = this.#size;
    this.#reserve();
  }

  /** Reserves space, if the store has some, so that a full store can still be told what is lost. */
  #reserve(): void {
    if (this.#reserved - this.#size >= RESERVE / 2) return;
    const end = this.#size + RESERVE;
    if (reserveRoom(this.#fd, this.#size, RESERVE)) this.#reserved = end;
  }
}
