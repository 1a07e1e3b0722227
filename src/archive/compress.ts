import { CkptfsError } from '../base/errors.ts';
import { CodecError, openCodec } from './codec.ts';

/** Takes bytes, which may be overwritten when it resolves. */
export type WriteBytes = (bytes: Uint8Array) => Promise<void>;

export type Compression = 'none' | 'gzip' | 'zstd';

/**
 * Compresses what `work` writes, and writes it to `write`.
 * @param signal ends it, even when the program zstd hangs
 * @throws what `work` and `write` throw; CkptfsError `missing-feature`, `interrupted`
 */
export async function compressed<T>(
  compression: Compression,
  write: WriteBytes,
  work: (write: WriteBytes) => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  if (compression === 'none') return work(write);
  const codec = await openCodec(compression, 'compress', signal);
  const { input, output } = codec;
  let outputError: unknown;
  const drained = (async (): Promise<void> => {
    for await (const piece of output as AsyncIterable<Uint8Array>) await write(piece);
    await codec.done;
  })().catch((error: unknown) => {
    outputError = error;
    // Who waits for the input to be taken learns that it never will.
    codec.close();
  });
  const give: WriteBytes = (bytes) =>
    new Promise((resolve, reject) => {
      input.write(bytes, (error) => (error ? reject(error) : resolve()));
    });
  try {
    const result = await work(give);
    input.end();
    await drained;
    if (outputError !== undefined) throw outputError;
    return result;
  } catch (error) {
    if (signal?.aborted === true) throw new CkptfsError('interrupted', 'interrupted by a signal', { cause: error });
    // An input that is not taken any more does not say why; the output does.
    if (!(error instanceof CkptfsError)) {
      codec.close();
      await drained;
    }
    throw asReported(outputError ?? error);
  } finally {
    codec.close();
  }
}

function asReported(error: unknown): unknown {
  return error instanceof CodecError
    ? new CkptfsError('io', `the archive cannot be compressed: ${error.message}`, { cause: error })
    : error;
}
