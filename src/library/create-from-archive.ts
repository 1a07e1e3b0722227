import type { Readable } from 'node:stream';
import { ArchiveReader } from '../archive/archive-reader.ts';
import { ByteStream } from '../archive/byte-stream.ts';
import { decompressed } from '../archive/decompress.ts';
import { CkptfsError, ioError } from '../base/errors.ts';
import type { CreatedImage } from '../image/create/create.ts';
import { ArchiveTree } from './archive-tree.ts';
import { type CreateFilledOptions, createFilled } from './create-filled.ts';
import { ownRoot } from './new-image.ts';

/** An archive that is to be read once, from its start to its end. */
export interface ArchiveSource {
  /** Its name in messages. */
  readonly name: string;
  /** Bytes, compressed or not. It is read to its end, or destroyed. */
  readonly stream: Readable;
  /** How many bytes the stream has, where that is known. */
  readonly totalBytes?: number;
}

/** How much of an archive was read. */
export interface ArchiveProgress {
  readonly doneBytes: number;
  readonly totalBytes: number | undefined;
}

export interface CreateFromArchiveOptions extends CreateFilledOptions {
  /** Leave devices out instead of refusing them. */
  readonly skipSpecial?: boolean;
  readonly onProgress?: (progress: ArchiveProgress) => void;
}

/**
 * Encrypts a tar archive into a new image as it is read, without plaintext on a disk, in memory that does not depend on
 * its size. When it fails the destination is as it was before.
 * @throws CkptfsError `unsupported-source`, `exists`, `io`, `missing-feature`, `interrupted`, `bad-argument`
 */
export async function createFromArchive(
  source: ArchiveSource,
  { skipSpecial = false, onProgress, signal, ...options }: CreateFromArchiveOptions,
): Promise<CreatedImage> {
  const { name, stream } = source;
  const stop = (): void => {
    stream.destroy(new CkptfsError('interrupted', 'interrupted by a signal'));
  };
  signal?.addEventListener('abort', stop);
  const bytes = new ByteStream(decompressed(counted(source, onProgress), name, signal));
  try {
    return await createFilled(options, ownRoot(), (image) =>
      new ArchiveTree(name, image, skipSpecial).fill(new ArchiveReader(bytes, name)),
    );
  } finally {
    signal?.removeEventListener('abort', stop);
    stream.destroy();
    await bytes.close();
  }
}

async function* counted(
  { name, stream, totalBytes }: ArchiveSource,
  onProgress: CreateFromArchiveOptions['onProgress'],
): AsyncGenerator<Uint8Array> {
  let doneBytes = 0;
  try {
    for await (const piece of stream as AsyncIterable<Uint8Array>) {
      doneBytes += piece.length;
      onProgress?.({ doneBytes, totalBytes });
      yield piece;
    }
  } catch (cause) {
    throw ioError('read', name, cause);
  }
}
