import fs from 'node:fs';
import { join } from 'node:path';
import { ioError, systemErrorName } from '../base/errors.ts';

const { O_DIRECTORY, O_NOFOLLOW, O_RDONLY } = fs.constants;

/** Files of an image beside its objects, in the order of removal: what is left after an interruption counts as unfinished. */
const files = ['manifest', 'journal', 'lock', 'ckptfs.json'] as const;
const drafts = files.map((name) => `${name}.new`);

/** Which directory stands at a path: `DEVICE:INODE`. @throws CkptfsError `io` */
export function directoryIdentity(path: string): string {
  try {
    return identityOf(fs.statSync(path, { bigint: true }));
  } catch (cause) {
    throw ioError('look at', path, cause);
  }
}

/**
 * Removes an image whole: its files, its objects and, unless it was there before, its directory. Below the directory no link is followed, and
 * nothing is removed but names that an image has, so what is no part of it stays, and so does the directory then.
 * @param identity as {@link directoryIdentity} said of it
 * @returns false, with nothing removed, when another directory stands there
 * @throws CkptfsError `io`
 */
export function discardDirectory(path: string, identity: string, withDirectory: boolean): boolean {
  try {
    const fd = fs.openSync(path, O_RDONLY | O_DIRECTORY);
    try {
      if (identityOf(fs.fstatSync(fd, { bigint: true })) !== identity) return false;
      for (const name of [...files, ...drafts]) fs.rmSync(below(fd, name), { force: true });
      removeObjects(fd);
    } finally {
      fs.closeSync(fd);
    }
    if (withDirectory) removeIfEmpty(path);
    return true;
  } catch (cause) {
    throw ioError('remove', path, cause);
  }
}

function removeObjects(image: number): void {
  withDirectory(below(image, 'objects'), (objects) => {
    for (const part of fs.readdirSync(below(objects, '')).filter((name) => /^[0-9a-f]{2}$/.test(name))) {
      withDirectory(below(objects, part), (fd) => {
        const names = fs.readdirSync(below(fd, ''));
        for (const name of names.filter(isObject)) fs.unlinkSync(below(fd, name));
      });
      removeIfEmpty(below(objects, part));
    }
  });
  removeIfEmpty(below(image, 'objects'));
}

function isObject(name: string): boolean {
  return /^[0-9a-f]{32}$/.test(name);
}

/** Does nothing where there is no directory of that name, or something else has it. */
function withDirectory(path: string, work: (fd: number) => void): void {
  let fd: number;
  try {
    fd = fs.openSync(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  } catch (cause) {
    if (['ENOENT', 'ENOTDIR', 'ELOOP'].includes(systemErrorName(cause) ?? '')) return;
    throw cause;
  }
  try {
    work(fd);
  } finally {
    fs.closeSync(fd);
  }
}

function removeIfEmpty(path: string): void {
  try {
    fs.rmdirSync(path);
  } catch (cause) {
    if (!['ENOENT', 'ENOTDIR', 'ENOTEMPTY', 'EEXIST'].includes(systemErrorName(cause) ?? '')) throw cause;
  }
}

function below(fd: number, name: string): string {
  return join(`/proc/self/fd/${fd}`, name);
}

function identityOf({ dev, ino }: fs.BigIntStats): string {
  return `${dev}:${ino}`;
}
