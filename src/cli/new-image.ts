import { printable } from '../base/printable.ts';
import type { Secret } from '../crypto/secret.ts';
import { type CipherName, defaultCipher } from '../format/ciphers.ts';
import { discardImage, type MadeImage } from '../image/discard-image.ts';
import type { NewInode } from '../image/writable/writable-image.ts';
import { createEmptyImage } from '../library/new-image.ts';
import type { CommonOptions } from './command.ts';
import { omitUndefined } from './omit-undefined.ts';
import { warnAbout, withKeys } from './options/image-arguments.ts';
import type { HeldKeys, KeyArguments } from './options/key-options.ts';
import { warn } from './terminal/output.ts';

/** Arguments of a command that makes an empty image. */
interface NewImageArguments extends CommonOptions, KeyArguments {
  readonly ENC: string;
  readonly cipher: CipherName | undefined;
  readonly chunkSize: number | undefined;
  /** Of its root directory; the default of `createEmptyImage` otherwise. */
  readonly root?: NewInode;
}

/** How the keys that a command holds become the key slots of a new image. */
export function slotsFor(keys: HeldKeys) {
  return (imageKey: Secret, imageId: Buffer) =>
    Promise.all(keys.forCreating(imageId).map((provider) => provider.wrap(imageKey)));
}

/** An image that was made, as the work on it sees it. */
export interface NewlyMade extends MadeImage {
  /** What a user should know of it, one line each: that it was made, and where its key is. */
  readonly announcement: readonly string[];
}

/**
 * Makes an empty image, does the work and wipes the keys. When the work fails, the image is taken back, and so is the key that was made for it:
 * it would stand in the way of the next try, and look like an image of something.
 * @param isKept whether what came of the work is a reason to keep the image
 * @throws CkptfsError as createEmptyImage does, and what `work` throws
 */
export async function withNewImage<T>(
  args: NewImageArguments,
  work: (imageKey: Secret, made: NewlyMade) => Promise<T>,
  isKept: (result: T) => boolean = () => true,
): Promise<T> {
  return withKeys(args, async (keys) => {
    await warnAbout(keys, args);
    const created = await createEmptyImage({
      destination: args.ENC,
      makeSlots: slotsFor(keys),
      ...omitUndefined({ cipher: args.cipher, chunkSize: args.chunkSize, root: args.root }),
    }).catch((error: unknown) => {
      keys.forgetMadeDefault();
      throw error;
    });
    const keyFile = keys.madeDefault;
    const made = { ...created.made, ...omitUndefined({ keyFile }) };
    const announcement = [
      `image ${created.imageId}: new, ${args.cipher ?? defaultCipher}, in ${printable(args.ENC)}`,
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
  });
}

/** What made the image useless is what the user has to know: that it could not be removed is for a warning. */
async function takeBack(made: MadeImage): Promise<void> {
  try {
    discardImage(made);
  } catch (error) {
    await warn(`the image that was made is left behind: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** Where the one key of an image is that nobody has a copy of yet. */
export function keyMade(path: string): string {
  return `key made: ${printable(path)} (keep a copy of it elsewhere)`;
}
