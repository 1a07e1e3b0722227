import { pipeline } from 'node:stream/promises';
import { CkptfsError } from '../base/errors.ts';
import { type Codec, CodecError, openCodec } from './codec.ts';
import { refusedArchive } from './refused.ts';

/** The first bytes of files, in hexadecimal digits (RFC 1952, RFC 8878, and what xz, bzip2 and lz4 say of theirs). */
const MAGIC = {
  gzip: /^1f8b/,
  // A frame that is skipped may come first: pzstd begins with one, and only what follows tells zstd from lz4.
  zstd: /^(?:28b52ffd|5[0-9a-f]2a4d18)/,
  xz: /^fd377a585a00/,
  // A member of an archive could have a name that begins with fewer.
  bzip2: /^425a683[1-9]314159/,
  lz4: /^04224d18/,
} as const;
const MAX_MAGIC_BYTES = 7;

/**
 * Returns the bytes of an archive, decompressed if it begins like a file of gzip or zstd.
 * @param archive its name in messages
 * @param signal ends it, even when the program zstd hangs
 * @throws CkptfsError, from the iterator: `unsupported-source` for what is compressed in another way or is damaged,
 *   `missing-feature`, `interrupted`; what the source throws
 */
export async function* decompressed(
  source: AsyncIterable<Uint8Array>,
  archive: string,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const pieces = source[Symbol.asyncIterator]();
  const head: Uint8Array[] = [];
  for (let length = 0; length < MAX_MAGIC_BYTES; ) {
    const next = await pieces.next();
    if (next.done === true) break;
    head.push(next.value);
    length += next.value.length;
  }
  const whole = resumed(head, pieces);
  const format = formatOf(head);
  try {
    if (format === undefined) yield* whole;
    else if (format === 'gzip' || format === 'zstd') {
      yield* through(whole, await openCodec(format, 'decompress', signal), archive, signal);
    } else {
      throw refusedArchive(archive, 'malformed-archive', `is compressed by ${format}, not by gzip or zstd`);
    }
  } finally {
    await pieces.return?.();
  }
}

function formatOf(head: readonly Uint8Array[]): keyof typeof MAGIC | undefined {
  const start = Buffer.concat(head).toString('hex', 0, MAX_MAGIC_BYTES);
  const formats = Object.keys(MAGIC) as (keyof typeof MAGIC)[];
  return formats.find((format) => MAGIC[format].test(start));
}

async function* resumed(head: readonly Uint8Array[], rest: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield* head;
  yield* { [Symbol.asyncIterator]: () => rest };
}

async function* through(
  source: AsyncIterable<Uint8Array>,
  codec: Codec,
  archive: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  let sourceError: unknown;
  const fed = pipeline(source, codec.input).catch((error: unknown) => {
    sourceError = error;
    // A program that hangs would not end because its input has.
    if (error instanceof CkptfsError) codec.close();
  });
  try {
    yield* codec.output;
    await codec.done;
    await fed;
  } catch (cause) {
    if (signal?.aborted === true) throw new CkptfsError('interrupted', 'interrupted by a signal', { cause });
    // What ended the source ended the codec too, and is the reason.
    if (sourceError instanceof CkptfsError) throw sourceError;
    if (cause instanceof CodecError || isOfZlib(cause)) {
      throw refusedArchive(archive, 'malformed-archive', `cannot be decompressed: ${cause.message}`, cause);
    }
    throw cause;
  } finally {
    codec.close();
  }
  if (sourceError !== undefined) throw sourceError;
}

function isOfZlib(error: unknown): error is Error {
  return error instanceof Error && 'code' in error && /^(?:Z|ZSTD|ERR_ZSTD)_/.test(String(error.code));
}
