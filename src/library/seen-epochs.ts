import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  lstatSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Deadline } from '../base/deadline.ts';
import { CkptfsError, ioError } from '../base/errors.ts';
import { tryLock } from '../base/linux/files.ts';
import { parseEpochs, type SeenSeal, textOfEpochs } from './epoch-text.ts';

/** Above half a million images. */
const MAX_SIZE = 32 << 20;
const LOCK_MILLISECONDS = 10_000;
const RETRY_MILLISECONDS = 20;

/**
 * Looks up the seal of an image with the highest epoch that this host has seen, which a file keeps, and writes this
 * one there if its epoch is higher. The file is made where there is none. It is locked meanwhile, and replaced in one
 * step, durably.
 * @param imageId 32 hexadecimal digits
 * @returns the seal that had been seen before, undefined for an image that is new to this host
 * @throws CkptfsError `damaged` when the file is something else, `io`; nothing is written for an epoch that is not
 *   higher
 */
export async function recordEpoch(path: string, imageId: string, seal: SeenSeal): Promise<SeenSeal | undefined> {
  const fd = await openLocked(path);
  try {
    const seen = readEpochs(fd, path);
    const before = seen.get(imageId);
    if (before === undefined || seal.epoch > before.epoch) replace(path, textOfEpochs(seen.set(imageId, seal)));
    return before;
  } catch (cause) {
    throw ioError('keep the epoch in', path, cause);
  } finally {
    closeSync(fd);
  }
}

/** Opens the file and locks it. The lock counts only while the path leads to the locked file. */
async function openLocked(path: string): Promise<number> {
  const deadline = Deadline.after(LOCK_MILLISECONDS);
  for (;;) {
    const fd = open(path);
    try {
      if (tryLock(fd) && isInPlace(path, fd)) return fd;
    } catch (cause) {
      closeSync(fd);
      throw ioError('lock', path, cause);
    }
    closeSync(fd);
    if (deadline.hasPassed) {
      throw new CkptfsError('io', `cannot lock ${path}: another process has held it for ten seconds`, { path });
    }
    await sleep(RETRY_MILLISECONDS);
  }
}

function open(path: string): number {
  const { O_RDWR, O_CREAT, O_NOFOLLOW, O_NONBLOCK } = constants;
  let fd: number;
  try {
    fd = openSync(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0o600);
  } catch (cause) {
    throw ioError('open', path, cause);
  }
  if (fstatSync(fd).isFile()) return fd;
  closeSync(fd);
  throw damaged(path, 'it is not a regular file');
}

function isInPlace(path: string, fd: number): boolean {
  const there = lstatSync(path, { bigint: true, throwIfNoEntry: false });
  const here = fstatSync(fd, { bigint: true });
  return there?.ino === here.ino && there.dev === here.dev;
}

function readEpochs(fd: number, path: string): Map<string, SeenSeal> {
  if (fstatSync(fd).size > MAX_SIZE) throw damaged(path, 'it is too large');
  const epochs = parseEpochs(readFileSync(fd));
  if (epochs === undefined) throw damaged(path, 'it holds something else');
  return epochs;
}

function replace(path: string, text: string): void {
  const draft = `${path}.new`;
  rmSync(draft, { force: true });
  const fd = openSync(draft, 'wx', 0o600);
  try {
    writeFileSync(fd, text);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  renameSync(draft, path);
  const directory = openSync(dirname(path), constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}

function damaged(path: string, why: string): CkptfsError {
  return new CkptfsError('damaged', `${path} is not a file of epochs that ckptfs wrote: ${why}`, { path });
}
