import { constants as fsConstants, fsyncSync, ftruncateSync, writeSync } from 'node:fs';
import { CkptfsError, ioError, systemErrorName } from '../base/errors.ts';
import { closeDescriptor } from '../base/linux/descriptors.ts';
import type { Directory } from '../base/linux/directory.ts';
import { readAt } from '../base/linux/files.ts';
import { Region } from '../base/linux/native.ts';
import { discardDirectory } from './discard-directory.ts';
import { openRegularFile, removeFile, syncDirectory } from './local-files.ts';
import { lockInPlace } from './local-header-lock.ts';
import { LocalWritableStore } from './local-writable-store.ts';
import { makeMarkedDirectory } from './marked-directory.ts';
import type { StoreLock } from './store.ts';

const MARK = 'replaces';
const MAX_MARK_BYTES = 192;
const MARK_TEXT = /^([0-9a-f]{32}) (copy|in-place)\n(?:([A-Za-z0-9_-]{43})\n([A-Za-z0-9_-]{43})\n$)?/;
/** Two directories of objects, which are empty in a new image. */
const TRIAL_NAMES = ['00', '01'] as const;

/** Two MACs of 32 bytes each. */
export interface MarkMacs {
  /** Under a key of the new image. */
  readonly byNew: Buffer;
  /** Under a key of the old image. */
  readonly byOld: Buffer;
}

/** What the file `replaces` of an image says (format.md §10). */
export interface ReplacesMark {
  /** The id of the image that it takes the place of; 32 hexadecimal digits. */
  readonly imageId: string;
  readonly how: 'copy' | 'in-place';
  /** What vouches for it, once the new image is whole. */
  readonly macs?: MarkMacs;
}

/** The store of an image that is made to take the place of another, or of one that may be such an image. */
export class ReplacementStore extends LocalWritableStore {
  /**
   * Makes a new image in a directory that is empty, or does not exist although its parent does.
   * @throws CkptfsError `exists`, `io`
   */
  static make(path: string, { imageId, how }: ReplacesMark): ReplacementStore {
    return new ReplacementStore(makeMarkedDirectory(path, MARK, `${imageId} ${how}\n`));
  }

  /**
   * Reads the mark of the image: undefined when there is none, `torn` when it was not written to its end.
   * @throws CkptfsError `damaged` when it is not a regular file, `io`
   */
  mark(): ReplacesMark | 'torn' | undefined {
    const path = (): string => this.directory.pathOf(MARK);
    const file = openRegularFile(this.directory.root, MARK, path);
    if (file === undefined) return undefined;
    try {
      const region = new Region(MAX_MARK_BYTES);
      const length = readAt(file.fd, region, 0, MAX_MARK_BYTES, 0);
      const text = region.bytes.toString('latin1', 0, length);
      const [, imageId, how, byNew, byOld] = MARK_TEXT.exec(text) ?? [];
      if (imageId === undefined) return 'torn';
      const mark = { imageId, how: how === 'copy' ? 'copy' : 'in-place' } as const;
      if (byNew === undefined || byOld === undefined) return mark;
      return { ...mark, macs: { byNew: Buffer.from(byNew, 'base64url'), byOld: Buffer.from(byOld, 'base64url') } };
    } catch (cause) {
      throw ioError('read', path(), cause);
    } finally {
      closeDescriptor(file.fd);
    }
  }

  /** Keeps other re-encryptions out until it is released. @throws CkptfsError `locked`, `io`, also without a mark */
  hold(): StoreLock {
    const path = this.location;
    const locked = (): CkptfsError<'locked'> =>
      new CkptfsError('locked', `another process is re-encrypting an image into ${path}`, {
        path,
        data: { holder: 're-encryption', wanted: 'writing' },
      });
    const lock = lockInPlace(this.directory, MARK, locked);
    if (lock === undefined) throw locked();
    return lock;
  }

  /**
   * Adds to the mark what vouches for it, durably.
   * @throws CkptfsError `damaged` without a mark, `io`
   */
  vouch({ imageId, how }: ReplacesMark, { byNew, byOld }: MarkMacs): void {
    const path = (): string => this.directory.pathOf(MARK);
    const file = openRegularFile(this.directory.root, MARK, path, fsConstants.O_WRONLY);
    if (file === undefined) throw new CkptfsError('damaged', `${path()} is missing`, { path: path() });
    try {
      // In place, as the file is locked. What is torn is the same mark without this.
      const first = `${imageId} ${how}\n`;
      ftruncateSync(file.fd, first.length);
      writeSync(file.fd, `${byNew.toString('base64url')}\n${byOld.toString('base64url')}\n`, first.length);
      fsyncSync(file.fd);
    } catch (cause) {
      throw ioError('write', path(), cause);
    } finally {
      closeDescriptor(file.fd);
    }
  }

  /** Removes the mark, durably. @throws CkptfsError `io` */
  removeMark(): void {
    try {
      removeFile(this.directory.root, MARK);
    } catch (cause) {
      throw ioError('remove', this.directory.pathOf(MARK), cause);
    }
    syncDirectory(this.directory.root);
  }

  /**
   * Removes the image, and its directory. Returns false when its path leads to another one.
   * @throws CkptfsError `locked`, `io`
   */
  discard(): boolean {
    const { device, inode } = this.identity();
    return discardDirectory(this.location, `${device}:${inode}`, true);
  }

  /**
   * Tries whether directories can be swapped in the file system, while the image has no objects.
   * @throws CkptfsError `missing-feature`, `io`
   */
  tryExchange(): void {
    const objects = this.directory.objects(true);
    if (objects === undefined) throw new CkptfsError('internal', `no directory of objects in ${this.location}`);
    try {
      for (const name of TRIAL_NAMES) objects.mkdir(name, 0o700);
      objects.exchange(...TRIAL_NAMES);
      for (const name of TRIAL_NAMES) objects.rmdir(name);
    } catch (cause) {
      if (!isNotExchangeable(cause)) throw ioError('write', this.location, cause);
      throw notExchangeable(this.location, 'its file system cannot swap directories', cause);
    }
  }

  /**
   * Gives all files and directories the modes of another image, and to root also its owner.
   * @throws CkptfsError `io`
   */
  takeModesOf(other: ReplacementStore): void {
    const from = other.directory;
    try {
      const { mode, uid, gid } = from.root.stat();
      const fileMode = Number(from.root.lstat('ckptfs.json')?.mode ?? 0o600n) & 0o777;
      const like = { mode: Number(mode) & 0o7777, fileMode, uid: Number(uid), gid: Number(gid) };
      makeLike(this.directory.root, like);
      this.directory.root.sync();
    } catch (cause) {
      throw ioError('change the mode of', this.location, cause);
    }
  }
}

interface Likeness {
  readonly mode: number;
  readonly fileMode: number;
  readonly uid: number;
  readonly gid: number;
}

function makeLike(directory: Directory, like: Likeness): void {
  const change = (name: string, mode: number): void => {
    if (process.geteuid?.() === 0) directory.chown(name, like.uid, like.gid);
    directory.chmod(name, mode);
  };
  for (const name of directory.names().map(String)) {
    const found = directory.lstat(name);
    if (found?.isDirectory() === true) {
      const below = directory.openDirectory(name, { sameMount: true });
      try {
        makeLike(below, like);
      } finally {
        below.close();
      }
    } else if (found?.isFile() === true) change(name, like.fileMode);
  }
  change('.', like.mode);
}

function isNotExchangeable(cause: unknown): boolean {
  return ['EINVAL', 'ENOSYS', 'EOPNOTSUPP', 'EBUSY', 'EXDEV'].includes(systemErrorName(cause) ?? '');
}

/** Makes the error for an image that another one cannot take the place of in one step. */
export function notExchangeable(path: string, reason: string, cause?: unknown): CkptfsError {
  return new CkptfsError('missing-feature', `${path} cannot be re-encrypted in place: ${reason}`, {
    path,
    data: { feature: 'exchange' },
    cause,
  });
}
