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
import { parseEpochs, type ReplacedImage, type SeenImages, type SeenSeal, textOfEpochs } from './epoch-text.ts';

/** About 50,000 images. */
const MAX_SIZE = 8 << 20;
const LOCK_MILLISECONDS = 10_000;
const RETRY_MILLISECONDS = 20;

/**
 * Looks up what this host has seen of an image, which a file keeps: the seal with the highest epoch, or that another
 * image took its place. Writes this seal there if its epoch is higher, and that its image takes the place of others if
 * it is not refused itself. The file is made where there is none. It is locked meanwhile, and replaced in one step,
 * durably.
 * @param imageId 32 hexadecimal digits
 * @param replaces the ids of the images that it takes the place of
 * @returns what was known before, undefined for an image that is new to this host
 * @throws CkptfsError `damaged` when the file is something else, `io`, also when it would get too large
 */
export async function recordEpoch(
  path: string,
  imageId: string,
  seal: SeenSeal,
  replaces: readonly string[] = [],
): Promise<SeenSeal | ReplacedImage | undefined> {
  const fd = await openLocked(path);
  try {
    const seen = readEpochs(fd, path);
    const before = seen.get(imageId);
    const isNewer = before === undefined || ('epoch' in before && seal.epoch > before.epoch);
    if (!isRefused(seal, before)) {
      if (isNewer) seen.set(imageId, seal);
      const isReplacement = markReplaced(seen, imageId, replaces);
      if (isNewer || isReplacement) replace(path, textOfEpochs(seen));
    }
    return before;
  } catch (cause) {
    throw ioError('keep the epoch in', path, cause);
  } finally {
    closeSync(fd);
  }
}

/** Tells whether a seal is not to be accepted by one who has seen another. */
export function isRefused(
  { epoch, manifest }: SeenSeal,
  before: SeenSeal | ReplacedImage | undefined,
): before is SeenSeal | ReplacedImage {
  if (before === undefined) return false;
  if ('replacedBy' in before) return true;
  return epoch < before.epoch || (epoch === before.epoch && manifest !== before.manifest);
}

/**
 * Enters that an image takes the place of others. Of two that took the place of one, the first stays, unless the second
 * took its place as well.
 * @returns whether anything was entered
 */
function markReplaced(seen: SeenImages, imageId: string, replaces: readonly string[]): boolean {
  const marked = replaces.filter((id) => {
    const known = seen.get(id);
    return known === undefined || !('replacedBy' in known) || replaces.includes(known.replacedBy);
  });
  for (const id of marked) seen.set(id, { replacedBy: imageId });
  return marked.length > 0;
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

function readEpochs(fd: number, path: string): SeenImages {
  if (fstatSync(fd).size > MAX_SIZE) throw damaged(path, 'it is too large');
  const epochs = parseEpochs(readFileSync(fd));
  if (epochs === undefined) throw damaged(path, 'it holds something else');
  return epochs;
}

function replace(path: string, text: string): void {
  if (text.length > MAX_SIZE) {
    throw new CkptfsError('io', `${path} would get too large: begin another one`, { path, data: { errno: 'EFBIG' } });
  }
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
