import type { Transform } from 'node:stream';

/** A stream of node:zlib, which counts what it has taken. */
export interface CountingTransform extends Transform {
  readonly bytesWritten: number;
}

/**
 * Decompresses frames that follow each other. A stream of Node ends with the first frame that ends within a piece, and
 * drops what is left of that piece: another stream goes on there.
 * @param open makes a stream that decompresses
 */
export async function* decompressFrames(
  source: AsyncIterable<Uint8Array>,
  open: () => CountingTransform,
): AsyncGenerator<Uint8Array> {
  const pieces = source[Symbol.asyncIterator]();
  let first = await nextOf(pieces);
  while (first !== undefined) {
    const stream = open();
    const fed = feed(stream, first, pieces);
    // Who reads the stream learns of its error.
    fed.catch(() => undefined);
    yield* stream;
    first = await fed;
  }
}

/** Gives pieces to a stream. @returns what it has dropped of the last one; undefined when all pieces were given */
async function feed(
  stream: CountingTransform,
  first: Uint8Array,
  pieces: AsyncIterator<Uint8Array>,
): Promise<Uint8Array | undefined> {
  let given = 0;
  try {
    for (let piece: Uint8Array | undefined = first; piece !== undefined; piece = await nextOf(pieces)) {
      await write(stream, piece);
      given += piece.length;
      const dropped = given - stream.bytesWritten;
      if (dropped > 0) return piece.subarray(piece.length - dropped);
    }
  } catch (error) {
    stream.destroy(error instanceof Error ? error : new Error(String(error)));
    throw error;
  }
  stream.end();
  return undefined;
}

async function nextOf(pieces: AsyncIterator<Uint8Array>): Promise<Uint8Array | undefined> {
  const next = await pieces.next();
  return next.done === true ? undefined : next.value;
}

function write(stream: Transform, piece: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.write(piece, (error) => (error ? reject(error) : resolve()));
  });
}
