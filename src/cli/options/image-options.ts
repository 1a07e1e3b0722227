import type { Argv } from 'yargs';
import type { ImagePlace } from '../../stores/open-store.ts';
import type { CommonOptions } from '../command.ts';
import { CommandLineError } from '../command-line-error.ts';
import { type KeyArguments, withKeyOptions } from './key-options.ts';
import type { DemandArguments } from './signature-options.ts';

/** Arguments of every command that opens an image. */
export interface ImageArguments extends CommonOptions, KeyArguments, DemandArguments {
  readonly ENC: string;
  /** The directory that stands for what ENC names, if ENC names no directory. */
  readonly place?: ImagePlace | undefined;
  readonly imageId: string | undefined;
}

export function withImageArguments<T>(yargs: Argv<T>) {
  return withImageId(withKeyOptions(withEnc(yargs)));
}

/** Adds the directory of an image. */
export function withEnc<T>(yargs: Argv<T>): Argv<T & { ENC: string }> {
  return yargs.positional('ENC', {
    type: 'string',
    demandOption: true,
    describe: 'Directory with the encrypted image',
  });
}

/** Adds the place of an image that is mounted. */
export function withSource<T>(yargs: Argv<T>): Argv<T & { ENC: string }> {
  return yargs.positional('ENC', {
    type: 'string',
    demandOption: true,
    describe: 'Directory with the encrypted image, or the URL that it was pushed to',
  });
}

/** Adds the option that refuses other images. */
export function withImageId<T>(yargs: Argv<T>): Argv<T & { 'image-id': string | undefined }> {
  return yargs.option('image-id', {
    type: 'string',
    nargs: 1,
    coerce: imageIdOf,
    describe: 'Refuse any image but the one with this id',
  });
}

/** @throws CkptfsError `bad-argument` */
export function imageIdOf(text: string): string {
  if (/^[0-9a-f]{32}$/i.test(text)) return text.toLowerCase();
  throw new CommandLineError(`image id ${text}: an id has 32 hexadecimal digits`, { kind: 'image-id' });
}
