import type { Argv } from 'yargs';
import { CkptfsError } from '../../base/errors.ts';
import type { Compression } from '../../compression/chunk-compressor.ts';
import { isZstdLevel, MAX_ZSTD_LEVEL, MIN_ZSTD_LEVEL } from '../../compression/zstd-levels.ts';
import { type CipherName, cipherNames, DEFAULT_CIPHER, isCipherName } from '../../format/ciphers.ts';
import { defaultChunkSize, isChunkSize } from '../../format/geometry.ts';
import { type SuiteName, suiteNames } from '../../format/suites.ts';
import { formatBytes, parseBytes } from '../terminal/quantities.ts';
import { withRecipientOptions } from './key-options.ts';

/** What `--compress` says. */
export type CompressArgument = Compression | 'none';

/** In the order of the help text: the cipher that does not encrypt is last. */
const cipherChoices = [...cipherNames.filter((name) => name !== 'none'), 'none'] as const;

/** Options of commands that make an image: how its contents are encrypted, and for whom. */
export function withNewImageOptions<T>(yargs: Argv<T>) {
  return withRecipientOptions(yargs)
    .option('suite', {
      type: 'string',
      nargs: 1,
      choices: suiteNames,
      describe: 'All algorithms of the image: fips has only those that FIPS approves',
    })
    .option('cipher', {
      type: 'string',
      nargs: 1,
      choices: cipherChoices,
      coerce: cipherOf,
      describe: `How contents are encrypted, ${DEFAULT_CIPHER} unless told; all ciphers authenticate`,
    })
    .option('chunk-size', {
      type: 'string',
      nargs: 1,
      coerce: chunkSizeOf,
      describe: `Bytes that are written together: 4K, 8K, 16K, 32K or 64K; ${formatBytes(defaultChunkSize(undefined))} unless told`,
    })
    .option('compress', {
      type: 'string',
      nargs: 1,
      coerce: compressionOf,
      describe: 'Compress before encrypting: zstd[:LEVEL], lz4, auto or none; sizes then tell something of contents',
    });
}

/** Refuses the options of {@link withNewImageOptions} where no image is made. @throws CkptfsError `bad-argument` */
export function refuseNewImageOptions(args: {
  readonly ENC: string;
  readonly suite: SuiteName | undefined;
  readonly cipher: CipherName | undefined;
  readonly chunkSize: number | undefined;
  readonly compress: CompressArgument | undefined;
  readonly recipient: readonly string[] | undefined;
  readonly write: boolean;
}): void {
  const options = {
    '--suite': args.suite,
    '--cipher': args.cipher,
    '--chunk-size': args.chunkSize,
    '--compress': args.compress,
    '--recipient': args.recipient,
  };
  const [given] = Object.entries(options).find(([, value]) => value !== undefined) ?? [];
  if (given === undefined) return;
  const reason = args.write ? `${args.ENC} exists already, and keeps its own` : 'nothing is made without --write';
  throw new CkptfsError('bad-argument', `${given} is for a new image: ${reason}`);
}

function cipherOf(name: string): CipherName {
  if (isCipherName(name)) return name;
  const reason = /^aes-?192/i.test(name) ? 'XTS is not defined for AES-192' : 'this cipher is not known';
  throw new CkptfsError('bad-argument', `--cipher ${name}: ${reason}; it is one of ${cipherChoices.join(', ')}`);
}

function chunkSizeOf(text: string): number {
  const bytes = parseBytes(text);
  if (bytes !== undefined && isChunkSize(bytes)) return bytes;
  throw new CkptfsError('bad-argument', `chunk size ${text}: must be a power of two from 4K to 64K`);
}

/** What `auto` is: as fast as Zstandard gets, and no longer tried on what does not shrink. */
const AUTO: Compression = { name: 'zstd', level: 1, isAdaptive: true };

function compressionOf(text: string): CompressArgument {
  if (text === 'none') return 'none';
  if (text === 'auto') return AUTO;
  if (text === 'lz4' || text === 'zstd') return { name: text };
  const level = Number(/^zstd:([1-9]\d?)$/.exec(text)?.[1]);
  if (isZstdLevel(level)) return { name: 'zstd', level };
  const levels = `${MIN_ZSTD_LEVEL} to ${MAX_ZSTD_LEVEL}`;
  throw new CkptfsError('bad-argument', `--compress ${text}: it is zstd, zstd:LEVEL (${levels}), lz4, auto or none`);
}

/** Returns how a new image is compressed, as the library takes it. */
export function chosenCompression(compress: CompressArgument | undefined): { readonly compression?: Compression } {
  return compress === undefined || compress === 'none' ? {} : { compression: compress };
}
