import { checkLibrary } from '../../compression/check-compression.ts';
import type { Inode } from '../../format/manifest.ts';
import type { Image } from '../read/image.ts';
import type { Progress } from '../workers/worker-pool.ts';
import { type Cancellation, runTasks } from '../workers/worker-pool.ts';
import type { Place } from './extract-place.ts';
import { type ExtractReport, extractTree } from './extract-tree.ts';
import type { ExtractSetup, ExtractTask, Piece } from './extract-worker.ts';

export interface ExtractOptions extends Cancellation {
  readonly jobs?: number;
  readonly onProgress?: (progress: Progress) => void;
}

/** A task has at least so many bytes or pieces, so that it is worth a message. */
const TASK_BYTES = 4 << 20;
const TASK_PIECES = 64;

/**
 * Writes an image's tree in clear into a directory that does not exist, or is empty and owned by the caller: contents,
 * holes, links, modes, times, `user.` attributes, and owners if the caller may set them. Reports what the destination
 * cannot keep. If it fails, what it wrote stays.
 * @throws CkptfsError `exists`, `missing-feature`, `damaged`, `io`, `interrupted`
 */
export async function extractImage(image: Image, target: string, options: ExtractOptions = {}): Promise<ExtractReport> {
  checkLibrary(image.header.compression);
  return extractTree(image.manifest, target, (made, extracted) => writeContents(image, made, extracted.place, options));
}

async function writeContents(image: Image, made: Uint8Array, place: Place, options: ExtractOptions): Promise<void> {
  const { inodes } = image.manifest;
  const extents = inodes.flatMap((inode, at) => (inode.type === 'file' && made[at + 1] === 1 ? inode.extents : []));
  const totalBytes = extents.reduce((sum, { length }) => sum + length, 0);
  let doneBytes = 0;
  await runTasks<ExtractTask, void, ExtractSetup>({
    setup: {
      job: 'extract',
      store: image.store.place,
      imageKey: image.imageKey.shared,
      manifestDigest: image.manifestDigest,
      place,
    },
    tasks: tasksOf(inodes, made),
    work: { bytes: totalBytes, pieces: extents.length },
    jobs: options.jobs,
    signal: options.signal,
    onCancellable: options.onCancellable,
    onResult: (_, { pieces }) => {
      for (const { length } of pieces) doneBytes += length;
      options.onProgress?.({ doneBytes, totalBytes });
    },
  });
}

function* tasksOf(inodes: readonly Inode[], made: Uint8Array): Generator<ExtractTask> {
  let pieces: Piece[] = [];
  let bytes = 0;
  for (const piece of piecesOf(inodes, made)) {
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

function* piecesOf(inodes: readonly Inode[], made: Uint8Array): Generator<Piece> {
  for (const [at, inode] of inodes.entries()) {
    if (inode.type !== 'file' || made[at + 1] !== 1) continue;
    for (const { fileOffset, length } of inode.extents) {
      for (let done = 0; done < length; done += TASK_BYTES) {
        yield { inode: at + 1, offset: fileOffset + done, length: Math.min(TASK_BYTES, length - done) };
      }
    }
  }
}
