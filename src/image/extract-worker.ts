import fs from 'node:fs';
import { CkptfsError, ioError } from '../base/errors.ts';
import { Region } from '../base/native.ts';
import { Secret } from '../crypto/secret.ts';
import type { FileInode } from '../format/manifest.ts';
import { openStore } from '../stores/open-store.ts';
import type { StorePlace } from '../stores/store.ts';
import { openImage, readHeader } from './image.ts';
import { ImageReader } from './image-reader.ts';
import type { JobWorker } from './worker.ts';

export interface ExtractSetup {
  readonly job: 'extract';
  readonly store: StorePlace;
  readonly imageKey: SharedArrayBuffer;
  readonly place: Place;
}

/** Where files are extracted to. */
export interface Place {
  /** By way of an open descriptor. */
  readonly base: string;
  /** The same directory as its user named it. */
  readonly target: string;
}

/** A path below a place's base, for messages. */
export function shownPath(path: Buffer, { base, target }: Place): string {
  return `${target}${path.subarray(base.length)}`;
}

/** Pieces of files that exist already; together they are worth a message to a worker. */
export interface ExtractTask {
  readonly pieces: readonly Piece[];
}

export interface Piece {
  /** Inode number. */
  readonly inode: number;
  readonly path: Uint8Array;
  readonly offset: number;
  readonly length: number;
}

const BUFFER_SIZE = 1 << 20;

export function extractWorker(setup: ExtractSetup): JobWorker {
  const store = openStore(setup.store);
  const image = openImage(store, readHeader(store), Secret.fromShared(setup.imageKey));
  const reader = new ImageReader(image);
  const buffer = new Region(BUFFER_SIZE);

  const extract = (piece: Piece): void => {
    const path = Buffer.from(piece.path);
    const shown = shownPath(path, setup.place);
    const inode = image.manifest.inodes[piece.inode - 1];
    if (inode?.type !== 'file') throw new CkptfsError('internal', `inode ${piece.inode} is no file`);
    const fd = openForWriting(path, shown);
    try {
      for (let done = 0; done < piece.length; ) {
        const wanted = Math.min(BUFFER_SIZE, piece.length - done);
        const count = readNamed(reader, inode, piece.offset + done, buffer, wanted, shown);
        writeAll(fd, buffer.bytes.subarray(0, count), piece.offset + done, shown);
        done += count;
      }
    } finally {
      fs.closeSync(fd);
    }
  };

  return {
    run: (task) => (task as ExtractTask).pieces.forEach(extract),
    close: () => {
      reader.close();
      store.close();
      buffer.bytes.fill(0);
    },
  };
}

/** ImageReader.read, with the file's path in the message of what is damaged. */
function readNamed(
  reader: ImageReader,
  inode: FileInode,
  offset: number,
  out: Region,
  length: number,
  shown: string,
): number {
  try {
    return reader.read(inode, offset, length, out, 0);
  } catch (cause) {
    if (!(cause instanceof CkptfsError) || cause.code !== 'damaged') throw cause;
    throw new CkptfsError('damaged', `${shown}: ${cause.message}`, { path: shown, cause });
  }
}

function openForWriting(path: Buffer, shown: string): number {
  const { O_NOFOLLOW, O_NONBLOCK, O_WRONLY } = fs.constants;
  try {
    return fs.openSync(path, O_WRONLY | O_NOFOLLOW | O_NONBLOCK);
  } catch (cause) {
    throw ioError('open', shown, cause);
  }
}

function writeAll(fd: number, bytes: Uint8Array, position: number, shown: string): void {
  try {
    for (let done = 0; done < bytes.length; ) {
      done += fs.writeSync(fd, bytes, done, bytes.length - done, position + done);
    }
  } catch (cause) {
    throw ioError('write', shown, cause);
  }
}
