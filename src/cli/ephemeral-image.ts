import { CkptfsError } from '../base/errors.ts';
import { printable } from '../base/printable.ts';
import type { Secret } from '../crypto/secret.ts';
import { type CipherName, DEFAULT_CIPHER } from '../format/ciphers.ts';
import { DEFAULT_SUITE, type SuiteName } from '../format/suites.ts';
import { discardImage } from '../image/discard-image.ts';
import type { EphemeralImage } from '../image/writable/open-ephemeral.ts';
import type { NewInode } from '../image/writable/writable-image.ts';
import { createEphemeral } from '../library/new-ephemeral.ts';
import { mayHavePolicy } from './config/places.ts';
import { omitUndefined } from './omit-undefined.ts';
import type { CompressArgument } from './options/new-image-options.ts';
import { warn } from './terminal/output.ts';

/** Arguments of a command that mounts an image which is gone at the end. */
interface EphemeralArguments {
  readonly ENC: string;
  readonly policy?: string | undefined;
  readonly suite: SuiteName | undefined;
  readonly cipher: CipherName | undefined;
  readonly chunkSize: number | undefined;
  readonly compress: CompressArgument | undefined;
  /** The metadata of its root directory; by default that of `createEphemeral`. */
  readonly root?: NewInode;
}

/**
 * Makes an ephemeral image, does the work and wipes the key. When the work fails, the image is removed.
 * @throws what `createEphemeral` and `work` throw; CkptfsError `forbidden-by-policy`
 */
export async function withEphemeralImage<T>(
  args: EphemeralArguments,
  work: (imageKey: Secret, image: EphemeralImage) => Promise<T>,
): Promise<T> {
  const { suite = DEFAULT_SUITE, cipher = DEFAULT_CIPHER } = args;
  await checkByPolicies({ suite, cipher }, args.policy);
  const { chunkSize, compress = 'none', root } = args;
  if (compress !== 'none') throw new CkptfsError('bad-argument', '--compress is for an image that stays');
  const { image, imageKey } = createEphemeral({
    destination: args.ENC,
    ...omitUndefined({ suite: args.suite, cipher: args.cipher, chunkSize, root }),
  });
  try {
    return await work(imageKey, image);
  } catch (error) {
    await takeBack(image);
    throw error;
  } finally {
    imageKey.wipe();
  }
}

async function checkByPolicies(
  image: { readonly suite: SuiteName; readonly cipher: CipherName },
  further: string | undefined,
): Promise<void> {
  if (!mayHavePolicy() && further === undefined) return;
  const { Policies } = await import('./config/enforcement.ts');
  const policies = Policies.read(further);
  policies.checkProvider();
  policies.checkImage(image);
}

/** A failure is a warning only, because the user must learn of the error that made the image useless. */
async function takeBack({ made }: EphemeralImage): Promise<void> {
  try {
    discardImage(made);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    await warn(`${printable(made.location)} was not removed: ${why}`);
  }
}
