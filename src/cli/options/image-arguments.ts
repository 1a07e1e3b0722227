import type { Secret } from '../../crypto/secret.ts';
import { type OpenEither, openReadable } from '../../library/open-readable.ts';
import { type OpenOptions, unlockImage } from '../../library/unlock.ts';
import { verifyUnlocked } from '../../library/verify-unlocked.ts';
import type { LeaseTerms } from '../../serve/leases/terms.ts';
import type { CommonOptions } from '../command.ts';
import { warn } from '../terminal/output.ts';
import { HeldKeys, type KeyOrigin, type KeyUse } from './held-keys.ts';
import type { ImageArguments } from './image-options.ts';
import type { KeyArguments, RecipientArguments } from './key-options.ts';
import { signatureDemand } from './signature-options.ts';

/** An image of ours, or a directory that CRIU encrypted. */
export type OpenImage = Awaited<ReturnType<typeof openReadable>>;

/** Opens the image that the arguments name, does the work, wipes the keys. @throws what opening and `work` throw */
export async function withOpenImage<T>(args: ImageArguments, work: (image: OpenImage) => Promise<T>): Promise<T> {
  return withKeys(args, async (keys) => {
    const image = await openReadable(args.ENC, {
      ...openedBy(keys),
      ...privateKeysOf(keys),
      imageId: args.imageId,
      signature: await signatureDemand(args),
    });
    try {
      await warnAbout(keys, args);
      return await work(image);
    } finally {
      image.close();
    }
  });
}

/** Like {@link withOpenImage}, for work that opens the image itself. */
export async function withGivenKeys<T>(args: ImageArguments, work: (options: OpenOptions) => Promise<T>): Promise<T> {
  return withKeys(args, (keys) => work({ ...openedBy(keys), imageId: args.imageId }));
}

/**
 * Like {@link withOpenImage}, for work that needs only the image key, and begins while it is being unlocked.
 */
export async function withImageKey<T>(
  args: ImageArguments,
  work: (imageKey: Promise<Secret>, origin: () => KeyOrigin) => Promise<T>,
  { write = false, verify = false, lease }: UseOfKey = {},
): Promise<T> {
  const asking = lease?.seconds === undefined ? args : { ...args, asksNobody: true };
  return withKeys(asking, async (keys) => {
    const imageKey = unlock(args, keys, { write, verify, lease });
    try {
      return await work(imageKey, () => keys.origin);
    } finally {
      // If the work failed before it asked for the key, its error is the one to report.
      await imageKey.then(
        (key) => key.wipe(),
        () => undefined,
      );
    }
  });
}

/** What the key of an image is opened for. */
interface UseOfKey {
  /** The image may be unsealed. */
  readonly write?: boolean | undefined;
  /** Everything in it is read and checked before the key is given. */
  readonly verify?: boolean;
  /** The key may be shared for the time of this. */
  readonly lease?: LeaseTerms | undefined;
}

async function unlock(args: ImageArguments, keys: HeldKeys, { write, verify, lease }: UseOfKey): Promise<Secret> {
  if (write === true) keys.checkWriting();
  const share = lease !== undefined && keys.mayBeKept ? (await import('./shared-keys.ts')).sharedFor(lease) : undefined;
  const imageKey = await unlockImage(args.place ?? args.ENC, {
    ...openedBy(keys),
    imageId: args.imageId,
    write: write === true,
    share,
  });
  try {
    await warnAbout(keys, args);
    if (verify === true) await verifyUnlocked(args.ENC, imageKey);
    return imageKey;
  } catch (error) {
    imageKey.wipe();
    throw error;
  }
}

/**
 * Reads the keys that the arguments name, and wipes them when the work is done. Warnings about keys that were read
 * meanwhile are printed then.
 * @param use whether an image is opened with them, or made for them
 */
export async function withKeys<T>(
  args: KeyArguments & RecipientArguments & CommonOptions,
  work: (keys: HeldKeys) => Promise<T>,
  use: KeyUse = 'open',
): Promise<T> {
  const keys = await HeldKeys.read(args, use);
  try {
    const result = await work(keys);
    await warnAbout(keys, args);
    return result;
  } finally {
    keys.wipe();
  }
}

export async function warnAbout(keys: Pick<HeldKeys, 'warnings'>, { quiet }: CommonOptions): Promise<void> {
  for (const warning of keys.warnings.splice(0)) if (!quiet) await warn(warning);
}

/** Makes the options that open an image by the keys that a command holds. */
export function openedBy({
  forOpening,
  keptKey,
  admit,
  onOpening,
  keySlot,
}: HeldKeys): Pick<OpenOptions, 'keys' | 'keptKey' | 'admit' | 'onOpening' | 'keySlot'> {
  return { keys: forOpening, keptKey, admit, onOpening, keySlot };
}

/** Makes the options that open what CRIU encrypted by the private keys that a command holds. */
export function privateKeysOf({
  forPrivateKeys,
  admitCriu,
  onOpening,
}: HeldKeys): Pick<OpenEither, 'identities' | 'admitCriu' | 'onOpening'> {
  return { identities: forPrivateKeys, admitCriu, onOpening };
}
