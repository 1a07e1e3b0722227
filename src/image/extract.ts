import fs from 'node:fs';
import { ioError, systemErrorName } from '../base/errors.ts';
import { makeMeetingPoint, setTimes, setXattr } from '../base/posix.ts';
import { type Inode, ROOT_INODE } from '../format/manifest.ts';
import { openEmptyDirectory } from '../stores/empty-directory.ts';
import type { Progress } from './create.ts';
import { type ExtractTask, type Piece, type Place, shownPath } from './extract-worker.ts';
import type { Image } from './image.ts';
import { ImageTree } from './tree.ts';
import { defaultJobs, runTasks } from './worker-pool.ts';

export interface ExtractOptions {
  readonly jobs?: number;
  readonly onProgress?: (progress: Progress) => void;
  readonly signal?: AbortSignal;
}

/** A task is worth a message when it is about this many bytes or files. */
const TASK_BYTES = 4 << 20;
const TASK_PIECES = 64;
/** Set-user-id and set-group-id. */
const SET_ID_BITS = 0o6000;

/**
 * Writes an image's tree in clear into a directory that does not exist, or is empty and the caller's own: contents, holes, links, modes, times, `user.`
 * attributes, and owners where the caller may set them. What it wrote before it fails stays there.
 * @throws CkptfsError `exists`, `damaged`, `io`, `interrupted`
 */
export async function extractImage(image: Image, target: string, options: ExtractOptions = {}): Promise<void> {
  const tree = new ImageTree(image.manifest);
  const directory = openEmptyDirectory(target);
  // Of this process, whichever thread uses it. Nobody else gets past the directory's mode, so names below it stay what they are; that
  // mode is set last.
  const place: Place = { base: `/proc/self/fd/${directory}/.`, target };
  try {
    const paths = makeTree(image, tree, place);
    await writeContents(image, paths, place, options);
    for (let number = image.manifest.inodes.length; number >= ROOT_INODE; number--) {
      const path = paths[number];
      const inode = tree.inode(number);
      if (path !== undefined && inode !== undefined) setMetadata(path, inode, place);
    }
  } finally {
    fs.closeSync(directory);
  }
}

/** Makes every name, files with their full size and no content. Returns the path of each inode by number. */
function makeTree(image: Image, tree: ImageTree, place: Place): Buffer[] {
  const paths: Buffer[] = [];
  paths[ROOT_INODE] = Buffer.from(place.base);
  for (let directory = ROOT_INODE; directory <= image.manifest.inodes.length; directory++) {
    const base = paths[directory];
    if (base === undefined) continue;
    for (let at = 0, child = tree.child(directory, 0); child !== undefined; child = tree.child(directory, ++at)) {
      const path = Buffer.concat([base, Buffer.from('/'), child.name]);
      const inode = tree.inode(child.inode);
      const first = paths[child.inode];
      if (inode === undefined) continue;
      try {
        if (first !== undefined) fs.linkSync(first, path);
        else makeInode(path, inode);
      } catch (cause) {
        throw ioError('create', shownPath(path, place), cause);
      }
      paths[child.inode] = first ?? path;
    }
  }
  return paths;
}

function makeInode(path: Buffer, inode: Inode): void {
  if (inode.type === 'directory') fs.mkdirSync(path, 0o700);
  else if (inode.type === 'symlink') fs.symlinkSync(inode.target, path);
  else if (inode.type !== 'file') makeMeetingPoint(path, inode.type);
  else {
    const fd = fs.openSync(path, 'wx', 0o600);
    try {
      fs.ftruncateSync(fd, inode.size);
    } finally {
      fs.closeSync(fd);
    }
  }
}

async function writeContents(
  image: Image,
  paths: readonly Buffer[],
  place: Place,
  options: ExtractOptions,
): Promise<void> {
  const { inodes } = image.manifest;
  let totalBytes = 0;
  for (const inode of inodes) {
    if (inode.type === 'file') for (const { length } of inode.extents) totalBytes += length;
  }
  let doneBytes = 0;
  await runTasks<ExtractTask, void>({
    setup: { job: 'extract', store: image.store.place, imageKey: image.imageKey.shared, place },
    tasks: tasksOf(inodes, paths),
    jobs: options.jobs ?? defaultJobs,
    signal: options.signal,
    onResult: (_, { pieces }) => {
      for (const { length } of pieces) doneBytes += length;
      options.onProgress?.({ doneBytes, totalBytes });
    },
  });
}

function* tasksOf(inodes: readonly Inode[], paths: readonly Buffer[]): Generator<ExtractTask> {
  let pieces: Piece[] = [];
  let bytes = 0;
  for (const piece of piecesOf(inodes, paths)) {
    pieces.push(piece);
    bytes += piece.length;
    if (bytes >= TASK_BYTES || pieces.length >= TASK_PIECES) {
      yield { pieces };
      pieces = [];
      bytes = 0;
    }
  }
  if (pieces.length > 0) yield { pieces };
}

function* piecesOf(inodes: readonly Inode[], paths: readonly Buffer[]): Generator<Piece> {
  for (const [at, inode] of inodes.entries()) {
    const path = paths[at + 1];
    if (inode.type !== 'file' || path === undefined) continue;
    for (const { fileOffset, length } of inode.extents) {
      for (let done = 0; done < length; done += TASK_BYTES) {
        yield { inode: at + 1, path, offset: fileOffset + done, length: Math.min(TASK_BYTES, length - done) };
      }
    }
  }
}

function setMetadata(path: Buffer, inode: Inode, place: Place): void {
  try {
    const owned = setOwner(path, inode);
    for (const { name, value } of inode.xattrs) setXattr(path, name, value);
    // A program with another owner than it had would run as the wrong user.
    if (inode.type !== 'symlink') fs.chmodSync(path, owned ? inode.mode : inode.mode & ~SET_ID_BITS);
    setTimes(path, inode.atime, inode.mtime);
  } catch (cause) {
    throw ioError('set the attributes of', shownPath(path, place), cause);
  }
}

/** An ordinary user cannot give files away; then they stay the user's, as with tar and cp. Returns whether owner and group are right. */
function setOwner(path: Buffer, inode: Inode): boolean {
  try {
    fs.lchownSync(path, inode.uid, inode.gid);
    return true;
  } catch (cause) {
    if (systemErrorName(cause) !== 'EPERM') throw cause;
    return false;
  }
}
