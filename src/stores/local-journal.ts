import { fdatasyncSync, ftruncateSync } from 'node:fs';
import { ioError } from '../base/errors.ts';
import { closeDescriptor } from '../base/linux/descriptors.ts';
import { reserveRoom, writeAt } from '../base/linux/files.ts';
import { Region } from '../base/linux/native.ts';
import type { ImageDirectory } from './image-directory.ts';
import { createFile, removeFile, syncDirectory, type Where } from './local-files.ts';
import type { JournalDraft, JournalFile } from './writable-store.ts';

const DRAFT = 'journal.new';

/** The file `journal.new`, until it is renamed into place. */
export class LocalJournalDraft implements JournalDraft {
  readonly #directory: ImageDirectory;
  readonly #file: AppendedFile;

  /** Makes the file, in place of a draft that an earlier writer left. @throws CkptfsError `io` */
  constructor(directory: ImageDirectory) {
    this.#directory = directory;
    try {
      removeFile(directory.root, DRAFT);
      this.#file = new AppendedFile(() => directory.pathOf('journal'), createFile(directory.root, DRAFT));
    } catch (cause) {
      throw ioError('create', directory.pathOf(DRAFT), cause);
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
      removeFile(this.#directory.root, DRAFT);
    } catch (cause) {
      throw ioError('remove', this.#directory.pathOf(DRAFT), cause);
    }
  }

  #rename(): void {
    try {
      this.#directory.root.rename(DRAFT, 'journal');
    } catch (cause) {
      throw ioError('rename', this.#directory.pathOf(DRAFT), cause);
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
