import type { Secret } from '../crypto/secret.ts';
import { type CipherName, defaultCipher } from '../format/ciphers.ts';
import { createEmptyImage } from '../library/new-image.ts';
import type { CommonOptions } from './command.ts';
import { warnAbout, withKeys } from './image-arguments.ts';
import type { HeldKeys, KeyArguments } from './key-options.ts';
import { print } from './output.ts';
import { present } from './present.ts';
import { safeText } from './terminal-text.ts';

/** Arguments of a command that makes an empty image. */
interface NewImageArguments extends CommonOptions, KeyArguments {
  readonly ENC: string;
  readonly cipher: CipherName | undefined;
  readonly chunkSize: number | undefined;
  readonly json: boolean;
}

/** How the keys that a command holds become the key slots of a new image. */
export function slotsFor(keys: HeldKeys) {
  return (imageKey: Secret, imageId: Buffer) =>
    Promise.all(keys.forCreating(imageId).map((provider) => provider.wrap(imageKey)));
}

/**
 * Makes an empty image, says so, does the work and wipes the keys. The image stays, also when the work fails.
 * @param work is given the path of the key as well, if one was made
 * @throws CkptfsError as createEmptyImage does, and what `work` throws
 */
export async function withNewImage<T>(
  args: NewImageArguments,
  work: (imageKey: Secret, keyFile: string | undefined) => Promise<T>,
): Promise<T> {
  return withKeys(args, async (keys) => {
    await warnAbout(keys, args);
    const { imageId, imageKey } = await createEmptyImage({
      destination: args.ENC,
      makeSlots: slotsFor(keys),
      ...present({ cipher: args.cipher, chunkSize: args.chunkSize }),
    }).catch((error: unknown) => {
      keys.forgetMadeDefault();
      throw error;
    });
    try {
      if (!args.quiet && !args.json) {
        await print(`image ${imageId}: new, ${args.cipher ?? defaultCipher}, in ${safeText(args.ENC)}\n`);
        if (keys.madeDefault !== undefined) await print(keyMade(keys.madeDefault));
      }
      return await work(imageKey, keys.madeDefault);
    } finally {
      imageKey.wipe();
    }
  });
}

/** Where the one key of an image is that nobody has a copy of yet. */
export function keyMade(path: string): string {
  return `key made: ${safeText(path)} (keep a copy of it elsewhere)\n`;
}
