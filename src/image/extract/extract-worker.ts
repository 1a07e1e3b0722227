import { closeSync, constants as fsConstants, writeSync } from 'node:fs';
import { CkptfsError, ioError } from '../../base/errors.ts';
import { Region } from '../../base/linux/native.ts';
import { wipe } from '../../base/wipe.ts';
import { Secret } from '../../crypto/secret.ts';
import type { FileInode } from '../../format/manifest.ts';
import { openStore } from '../../stores/open-store.ts';
import type { StorePlace } from '../../stores/store.ts';
import { openImage, readHeader } from '../read/image.ts';
import { ImageReader } from '../read/image-reader.ts';
import { ImageTree } from '../read/tree.ts';
import type { JobWorker } from '../workers/worker-messages.ts';
import { ExtractedTree, type Place } from './extract-place.ts';

export interface ExtractSetup {
  readonly job: 'extract';
  readonly store: StorePlace;
  readonly imageKey: SharedArrayBuffer;
  /** See {@link openImage}. */
  readonly manifestDigest: Uint8Array;
  readonly place: Place;
}

/** Pieces of files that exist already, enough of them for one message to a worker. */
export interface ExtractTask {
  readonly pieces: readonly Piece[];
}

export interface Piece {
  /** Inode number. */
  readonly inode: number;
  readonly offset: number;
  readonly length: number;
}

const BUFFER_SIZE = 1 << 20;
/** Directories that one thread keeps open. There may be 256 threads. */
const MAX_OPEN = 8;

export function extractWorker(setup: ExtractSetup): JobWorker {
  const store = openStore(setup.store);
  const image = openImage(store, readHeader(store), Secret.fromShared(setup.imageKey), setup.manifestDigest);
  const reader = new ImageReader(image);
  const tree = new ImageTree(image.manifest);
  const place = new ExtractedTree(tree, setup.place, MAX_OPEN);
  const buffer = new Region(BUFFER_SIZE);

  const extract = (piece: Piece): void => {
    const inode = image.manifest.inodes[piece.inode - 1];
    if (inode?.type !== 'file') throw new CkptfsError('internal', `inode ${piece.inode} is not a file`);
    const shown = (): string => place.pathOf(piece.inode);
    const fd = openForWriting(place, piece.inode);
    try {
      for (let done = 0; done < piece.length; ) {
        const wanted = Math.min(BUFFER_SIZE, piece.length - done);
        const count = readNamed(reader, inode, piece.offset + done, buffer, wanted, shown);
        if (count === 0) throw new CkptfsError('internal', `inode ${piece.inode} ends before ${piece.offset + done}`);
        writeAll(fd, buffer.bytes.subarray(0, count), piece.offset + done, shown);
        done += count;
      }
    } finally {
      closeSync(fd);
    }
  };

  return {
    run: (task) => (task as ExtractTask).pieces.forEach(extract),
    close: () => {
      wipe(buffer.bytes);
      reader.close();
      place.close();
      store.close();
    },
  };
}

/** Reads like {@link ImageReader.read}, but an error names the file that is damaged. */
function readNamed(
  reader: ImageReader,
  inode: FileInode,
  offset: number,
  out: Region,
  length: number,
  shown: () => string,
): number {
  try {
    return reader.read(inode, offset, length, out, 0);
  } catch (cause) {
    if (!(cause instanceof CkptfsError) || cause.code !== 'damaged') throw cause;
    const path = shown();
    throw new CkptfsError('damaged', `${path}: ${cause.message}`, { path, cause });
  }
}

function openForWriting(place: ExtractedTree, inode: number): number {
  const made = place.placeOf(inode);
  if (made === undefined) throw new CkptfsError('internal', `inode ${inode} has no name`);
  try {
    return place.directories.get(made.parent).openFile(made.name, fsConstants.O_WRONLY);
  } catch (cause) {
    throw ioError('open', place.pathOf(inode), cause);
  }
}

function writeAll(fd: number, bytes: Uint8Array, position: number, shown: () => string): void {
  try {
    for (let done = 0; done < bytes.length; ) {
      done += writeSync(fd, bytes, done, bytes.length - done, position + done);
    }
  } catch (cause) {
    throw ioError('write', shown(), cause);
  }
}
