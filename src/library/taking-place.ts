import { type BigIntStats, constants as fsConstants, fstatSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MalformedError } from '../base/bytes.ts';
import { absolutePath } from '../base/current-directory.ts';
import type { ErrorData } from '../base/error-data.ts';
import { CkptfsError, ioError, systemErrorName } from '../base/errors.ts';
import { closeDescriptor } from '../base/linux/descriptors.ts';
import { Directory } from '../base/linux/directory.ts';
import { tryLock } from '../base/linux/files.ts';
import { WRITABLE_BY_OTHERS } from '../base/owned-file.ts';
import { printableName } from '../base/printable.ts';
import { discardImage } from '../image/discard-image.ts';
import { readHeader } from '../image/read/image.ts';
import { openStore } from '../stores/open-store.ts';
import type { Store } from '../stores/store.ts';
import { decodeTaking, encodeTaking, type Taking } from './taking.ts';

/** In the directory of the images: what is not done yet. */
const WORK = '.ckptfs-watch';
const DRAFT = 'draft';
const RECORD = 'taking';
const NEW_RECORD = `${RECORD}.new`;
/** In bytes: a path and two names, with each byte as some characters. */
const MAX_RECORD_SIZE = 65_536;

/**
 * The directory that images of archives are put into, by one process at a time. An image is made below a hidden
 * directory in it, and gets its name when it is sealed and verified; a record says then which archive it is of.
 */
export class TakingPlace {
  /** Absolute. */
  readonly path: string;
  readonly #images: Directory;
  readonly #work: Directory;
  /** Holds the lock. */
  readonly #lock: number;

  private constructor(path: string, images: Directory, work: Directory, lock: number) {
    this.path = path;
    this.#images = images;
    this.#work = work;
    this.#lock = lock;
  }

  /**
   * Makes the directory, or accepts one that this user owns and no other user can write to, and locks it.
   * @throws CkptfsError `exists`, `locked`, `io`
   */
  static open(location: string): TakingPlace {
    const path = absolutePath(location);
    let images: Directory | undefined;
    let work: Directory | undefined;
    try {
      const isNew = makeDirectory(() => mkdirSync(path, 0o700));
      const opened = Directory.open(path);
      images = opened;
      if (isNew) opened.syncParent();
      if (makeDirectory(() => opened.mkdir(WORK, 0o700))) opened.sync();
      work = images.openDirectory(WORK, { sameMount: true });
      for (const directory of [images, work]) checkOwn(directory);
      return new TakingPlace(path, images, work, lockOf(work, path));
    } catch (cause) {
      work?.close();
      images?.close();
      throw ioError('open', path, cause);
    }
  }

  /** Where an image is made. */
  get draftPath(): string {
    return join(this.path, WORK, DRAFT);
  }

  /** The id of the image at {@link draftPath}, 32 hexadecimal digits; undefined when it is not whole. */
  get draft(): string | undefined {
    return this.#imageIn(this.#work, DRAFT);
  }

  /** Removes what was left of an image that was being made. @throws CkptfsError `io` */
  discardDraft(): void {
    const found = this.#lstat(this.#work, DRAFT);
    if (found === undefined) return;
    discardImage({ location: this.draftPath, directory: `${found.dev}:${found.ino}`, isNewDirectory: true });
  }

  /** Returns the path of an image, for messages. */
  pathOf(image: Buffer): string {
    return join(this.path, printableName(image));
  }

  /** Like {@link draft}, of the image that has a name. @throws CkptfsError `io` */
  imageAt(image: Buffer): string | undefined {
    return this.#imageIn(this.#images, image);
  }

  /** Returns a name that is free: `name` itself, or with a number after it. @throws CkptfsError `io` */
  freeName(name: Buffer): Buffer {
    for (let number = 1; ; number++) {
      const free = number === 1 ? name : Buffer.concat([name, Buffer.from(`.${number}`)]);
      if (this.#lstat(this.#images, free) === undefined) return free;
    }
  }

  /** Gives the draft its name, durably. @throws CkptfsError `io` */
  publish(image: Buffer): void {
    try {
      this.#work.rename(DRAFT, image, { to: this.#images });
      this.#images.sync();
      this.#work.sync();
    } catch (cause) {
      throw ioError('make', this.pathOf(image), cause);
    }
  }

  /** Returns what was being taken when the process ended. @throws CkptfsError `io` */
  recorded(): Taking | undefined {
    try {
      const fd = this.#work.openFile(RECORD, fsConstants.O_RDONLY);
      try {
        if (fstatSync(fd).size > MAX_RECORD_SIZE) throw new MalformedError('too large');
        return decodeTaking(readFileSync(fd, 'utf8'));
      } finally {
        closeDescriptor(fd);
      }
    } catch (cause) {
      // It is written as a whole. If it is not ours, nothing is removed for it.
      if (cause instanceof MalformedError || systemErrorName(cause) === 'ENOENT') return undefined;
      throw ioError('read', join(this.path, WORK, RECORD), cause);
    }
  }

  /** Records, durably, what is being taken. @throws CkptfsError `io` */
  record(taking: Taking): void {
    const { O_CREAT, O_TRUNC, O_WRONLY } = fsConstants;
    try {
      const fd = this.#work.openFile(NEW_RECORD, O_WRONLY | O_CREAT | O_TRUNC);
      try {
        writeFileSync(fd, encodeTaking(taking), { flush: true });
      } finally {
        closeDescriptor(fd);
      }
      this.#work.rename(NEW_RECORD, RECORD);
      this.#work.sync();
    } catch (cause) {
      throw ioError('write', join(this.path, WORK, RECORD), cause);
    }
  }

  /** Removes the record: all is done. @throws CkptfsError `io` */
  forget(): void {
    try {
      this.#work.unlink(RECORD);
      this.#work.sync();
    } catch (cause) {
      throw ioError('remove', join(this.path, WORK, RECORD), cause);
    }
  }

  close(): void {
    closeDescriptor(this.#lock);
    this.#work.close();
    this.#images.close();
  }

  #imageIn(parent: Directory, name: Buffer | string): string | undefined {
    if (this.#lstat(parent, name)?.isDirectory() !== true) return undefined;
    const path = `${parent.path()}/${name}`;
    let directory: Directory | undefined;
    let store: Store | undefined;
    try {
      directory = parent.openDirectory(name, { sameMount: true });
      store = openStore({ fd: directory.fd, path });
      return readHeader(store).imageId.toString('hex');
    } catch (cause) {
      const error = ioError('open', path, cause);
      if (error.code !== 'io') return undefined;
      throw error;
    } finally {
      store?.close();
      directory?.close();
    }
  }

  #lstat(directory: Directory, name: Buffer | string): BigIntStats | undefined {
    try {
      return directory.lstat(name);
    } catch (cause) {
      throw ioError('look at', `${directory.path()}/${name}`, cause);
    }
  }
}

/** Makes a directory, unless it is there. @returns whether it was made */
function makeDirectory(make: () => void): boolean {
  try {
    make();
    return true;
  } catch (error) {
    if (systemErrorName(error) !== 'EEXIST') throw error;
    return false;
  }
}

/** @throws CkptfsError `exists` for a directory that another user could change */
function checkOwn(directory: Directory): void {
  const { uid, mode } = directory.stat();
  if (Number(uid) !== process.geteuid?.()) throw refused(directory, 'is a directory of another user', 'not-own');
  if ((Number(mode) & WRITABLE_BY_OTHERS) === 0) return;
  throw refused(directory, 'is a directory that others can write to', 'writable-by-others');
}

function refused(directory: Directory, text: string, reason: ErrorData<'exists'>['reason']): CkptfsError {
  const path = directory.path();
  return new CkptfsError('exists', `${path} ${text}`, { path, data: { reason } });
}

/** @returns a descriptor that holds the lock. @throws CkptfsError `locked` */
function lockOf(work: Directory, path: string): number {
  const fd = work.openReadable();
  try {
    if (tryLock(fd)) return fd;
  } catch (error) {
    closeDescriptor(fd);
    throw error;
  }
  closeDescriptor(fd);
  const message = `another process puts images of archives into ${path}`;
  throw new CkptfsError('locked', message, { path, data: { holder: 'watch', wanted: 'writing' } });
}
