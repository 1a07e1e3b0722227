import type { Argv } from 'yargs';
import { CkptfsError } from '../../base/errors.ts';
import { type CipherName, cipherNames, DEFAULT_CIPHER, isCipherName } from '../../format/ciphers.ts';
import { DEFAULT_CHUNK_SIZE, isChunkSize } from '../../format/geometry.ts';
import { type SuiteName, suiteNames } from '../../format/suites.ts';
import { formatBytes, parseBytes } from '../terminal/quantities.ts';
import { withRecipientOptions } from './key-options.ts';

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
      describe: `Bytes that are written together: 4K, 8K, 16K, 32K or 64K; ${formatBytes(DEFAULT_CHUNK_SIZE)} unless told`,
    });
}

/** Refuses the options of {@link withNewImageOptions} where no image is made. @throws CkptfsError `bad-argument` */
export function refuseNewImageOptions(args: {
  readonly ENC: string;
  readonly suite: SuiteName | undefined;
  readonly cipher: CipherName | undefined;
  readonly chunkSize: number | undefined;
  readonly recipient: readonly string[] | undefined;
  readonly write: boolean;
}): void {
  const options = {
    '--suite': args.suite,
    '--cipher': args.cipher,
    '--chunk-size': args.chunkSize,
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
