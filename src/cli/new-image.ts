import { CkptfsError } from '../base/errors.ts';
import { printable } from '../base/printable.ts';
import type { Compression } from '../compression/chunk-compressor.ts';
import type { Secret } from '../crypto/secret.ts';
import { type CipherName, DEFAULT_CIPHER } from '../format/ciphers.ts';
import { DEFAULT_SUITE, type SuiteName } from '../format/suites.ts';
import { discardImage, type MadeImage } from '../image/discard-image.ts';
import type { NewInode } from '../image/writable/writable-image.ts';
import { checkVacant, createEmptyImage } from '../library/new-image.ts';
import type { CommonOptions } from './command.ts';
import { omitUndefined } from './omit-undefined.ts';
import type { HeldKeys } from './options/held-keys.ts';
import { warnAbout, withKeys } from './options/image-arguments.ts';
import type { KeyArguments, RecipientArguments } from './options/key-options.ts';
import { type CompressArgument, chosenCompression } from './options/new-image-options.ts';
import { warn } from './terminal/output.ts';

/** Arguments of a command that makes an empty image. */
interface NewImageArguments extends CommonOptions, KeyArguments, RecipientArguments {
  readonly ENC: string;
  readonly suite: SuiteName | undefined;
  readonly cipher: CipherName | undefined;
  readonly chunkSize: number | undefined;
  readonly compress: CompressArgument | undefined;
  /** The metadata of its root directory; by default that of `createEmptyImage`. */
  readonly root?: NewInode;
}

/** Makes the function that wraps a new image key with the keys that a command holds. */
export function slotsFor(keys: HeldKeys) {
  return (imageKey: Secret, imageId: Buffer) =>
    Promise.all(keys.forCreating(imageId).map((recipient) => recipient.wrap(imageKey, imageId)));
}

/** A new image, for the work on it. */
export interface NewlyMade extends MadeImage {
  /** Lines for the user: that the image was made, and where its key is. */
  readonly announcement: readonly string[];
}

/**
 * Makes an empty image, does the work and wipes the keys. When the work fails, the image is removed, and so is the key
 * that was made for it: they would be in the way of the next attempt.
 * @param isKept decides by the result of the work whether the image stays
 * @throws what {@link createEmptyImage} and `work` throw
 */
export async function withNewImage<T>(
  args: NewImageArguments,
  work: (imageKey: Secret, made: NewlyMade) => Promise<T>,
  isKept: (result: T) => boolean = () => true,
): Promise<T> {
  const make = async (keys: HeldKeys): Promise<T> => {
    await warnAbout(keys, args);
    keys.checkForCreating(args);
    checkVacant(args.ENC);
    const compression = compressionOf(args);
    await keys.prepareForCreating(args);
    const created = await createEmptyImage({
      destination: args.ENC,
      makeSlots: slotsFor(keys),
      ...omitUndefined({ suite: args.suite, cipher: args.cipher, chunkSize: args.chunkSize, root: args.root }),
      ...compression,
    }).catch((error: unknown) => {
      keys.forgetMadeDefault();
      throw error;
    });
    const keyFile = keys.madeDefault;
    const made = { ...created.made, ...omitUndefined({ keyFile }) };
    const announcement = [
      `image ${created.imageId}: new, ${cipherText({ ...args, ...compression })}, in ${printable(args.ENC)}`,
      ...(keyFile === undefined ? [] : [keyMade(keyFile)]),
    ];
    let isWanted = false;
    try {
      const result = await work(created.imageKey, { ...made, announcement });
      isWanted = isKept(result);
      return result;
    } finally {
      created.imageKey.wipe();
      if (!isWanted) await takeBack(made);
    }
  };
  return withKeys(args, make, 'make');
}

/** @throws CkptfsError `bad-argument` for a level: the image does not keep it for those who write to it */
function compressionOf({ compress }: NewImageArguments): { readonly compression?: Compression } {
  const chosen = chosenCompression(compress);
  if (chosen.compression?.level === undefined || chosen.compression.isAdaptive) return chosen;
  throw new CkptfsError('bad-argument', 'a level is for what is compressed once, by encrypt and reencrypt');
}

/** Removes the image. A failure is a warning only, because the user must learn of the error that made it useless. */
async function takeBack(made: MadeImage): Promise<void> {
  try {
    discardImage(made);
  } catch (error) {
    await warn(`the new image could not be removed: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** Names how an image is encrypted. */
export function cipherText({ suite = DEFAULT_SUITE, cipher = DEFAULT_CIPHER, compression }: Ciphers): string {
  const ofSuite = suite === DEFAULT_SUITE ? cipher : `${cipher} of suite ${suite}`;
  return compression === undefined ? ofSuite : `${ofSuite}, compressed by ${compression.name}`;
}

interface Ciphers {
  readonly suite?: SuiteName | undefined;
  readonly cipher?: CipherName | undefined;
  readonly compression?: Compression;
}

/** Tells where the only copy of the key of a new image is. */
export function keyMade(path: string): string {
  return `key made: ${printable(path)} (keep a copy of it elsewhere)`;
}
