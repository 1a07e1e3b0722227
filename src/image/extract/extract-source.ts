import { closeSync, constants as fsConstants } from 'node:fs';
import { setImmediate as turn } from 'node:timers/promises';
import { Counters } from '../../base/counters.ts';
import { CkptfsError, ioError } from '../../base/errors.ts';
import { writeAt } from '../../base/linux/files.ts';
import { Region } from '../../base/linux/native.ts';
import { wipe } from '../../base/wipe.ts';
import type { FileInode } from '../../format/manifest.ts';
import type { ImageSource, SourceReader } from '../read/image-source.ts';
import { DEFAULT_READ_CACHE_BYTES } from '../read/object-reader.ts';
import type { ExtractOptions } from './extract.ts';
import type { ExtractedTree } from './extract-place.ts';
import { type ExtractReport, extractTree } from './extract-tree.ts';

/** Bytes that are copied at once. */
const STEP = 1 << 20;

/**
 * Writes any source in clear into a directory, as `extractImage` does with a sealed image, on this thread alone.
 * @throws CkptfsError `exists`, `damaged`, `io`, `interrupted`
 */
export function extractSource(
  source: ImageSource,
  target: string,
  options: ExtractOptions = {},
): Promise<ExtractReport> {
  return extractTree(source.manifest, target, (made, extracted) => writeContents(source, made, extracted, options));
}

async function writeContents(
  source: ImageSource,
  made: Uint8Array,
  extracted: ExtractedTree,
  { signal, onCancellable, onProgress }: ExtractOptions,
): Promise<void> {
  const { inodes } = source.manifest;
  const totalBytes = inodes.reduce((sum, inode) => sum + (inode.type === 'file' ? inode.size : 0), 0);
  const buffer = new Region(STEP);
  const reader = source.openReader(DEFAULT_READ_CACHE_BYTES, new Counters());
  let doneBytes = 0;
  onCancellable?.(true);
  try {
    for (const [at, inode] of inodes.entries()) {
      if (inode.type !== 'file' || made[at + 1] !== 1) continue;
      for (const count of copied(reader, inode, at + 1, extracted, buffer)) {
        doneBytes += count;
        onProgress?.({ doneBytes, totalBytes });
        await turn();
        if (signal?.aborted === true) throw new CkptfsError('interrupted', 'interrupted by a signal');
      }
    }
  } finally {
    onCancellable?.(false);
    wipe(buffer.bytes);
    reader.close();
  }
}

/** Copies the contents of one file, and yields how many bytes each step has copied. */
function* copied(
  reader: SourceReader,
  inode: FileInode,
  number: number,
  extracted: ExtractedTree,
  buffer: Region,
): Generator<number> {
  const place = extracted.placeOf(number);
  if (place === undefined) throw new CkptfsError('internal', `inode ${number} has no name`);
  const path = extracted.pathOf(number);
  let fd: number | undefined;
  try {
    fd = extracted.directories.get(place.parent).openFile(place.name, fsConstants.O_WRONLY);
    for (let offset = 0; offset < inode.size; ) {
      const count = reader.read(inode, offset, STEP, buffer, 0);
      if (count === 0) throw new CkptfsError('damaged', 'it ends early');
      writeAt(fd, buffer, 0, count, offset);
      offset += count;
      yield count;
    }
  } catch (cause) {
    if (!(cause instanceof CkptfsError) || cause.code !== 'damaged') throw ioError('write', path, cause);
    throw new CkptfsError('damaged', `${path}: ${cause.message}`, { path, cause });
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}
