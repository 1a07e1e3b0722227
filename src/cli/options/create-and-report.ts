import { printable } from '../../base/printable.ts';
import { type CipherName, DEFAULT_CIPHER } from '../../format/ciphers.ts';
import { DEFAULT_SUITE, type SuiteName } from '../../format/suites.ts';
import type { CreatedImage, CreateOptions } from '../../image/create/create.ts';
import { cancellable } from '../cancellation.ts';
import type { CommonOptions } from '../command.ts';
import { cipherText, keyMade, slotsFor } from '../new-image.ts';
import { omitUndefined } from '../omit-undefined.ts';
import { reportLosses } from '../terminal/losses.ts';
import { print, printJson, warn } from '../terminal/output.ts';
import { progressBar } from '../terminal/progress.ts';
import { countOf, formatBytes } from '../terminal/quantities.ts';
import type { HeldKeys } from './held-keys.ts';
import { type CompressArgument, chosenCompression } from './new-image-options.ts';

/** How an image is made of something, and what is said of it. */
interface Creation extends CommonOptions {
  readonly destination: string;
  /** What remains when it is interrupted, one sentence for the user. */
  readonly left: string;
  readonly json: boolean;
  readonly suite: SuiteName | undefined;
  readonly cipher: CipherName | undefined;
  readonly chunkSize: number | undefined;
  readonly compress: CompressArgument | undefined;
}

type CommonCreateOptions = Pick<
  CreateOptions,
  'makeSlots' | 'suite' | 'cipher' | 'chunkSize' | 'compression' | 'signal' | 'onCancellable'
> & { readonly onProgress: ReturnType<typeof progressBar>['update'] };

/** Names how an image is compressed, in JSON. */
function compressionJson({ compression }: Pick<CreateOptions, 'compression'>): { readonly compression?: string } {
  return compression === undefined ? {} : { compression: compression.name };
}

/** Makes an image for the keys that a command holds, and prints what it has. Returns the exit code. */
export async function createAndReport(
  { destination, left, json, quiet, suite = DEFAULT_SUITE, cipher = DEFAULT_CIPHER, chunkSize, compress }: Creation,
  keys: HeldKeys,
  create: (options: CommonCreateOptions) => Promise<CreatedImage>,
): Promise<number> {
  await keys.prepareForCreating({ suite, cipher });
  const bar = progressBar('encrypting', quiet);
  const makeSlots = slotsFor(keys);
  const how = { suite, cipher, ...omitUndefined({ chunkSize }), ...chosenCompression(compress) };
  const created = await cancellable(left, (cancellation) =>
    create({ makeSlots, ...how, onProgress: bar.update, ...cancellation }),
  )
    .catch((error: unknown) => {
      keys.forgetMadeDefault();
      throw error;
    })
    .finally(bar.end);
  if (!quiet) for (const path of created.skipped) await warn(`left out ${path}: a device`);
  const keyFile = keys.madeDefault;
  const code = await reportLosses(created.losses, quiet);
  if (json) {
    const { bytes: fileBytes, ...rest } = created;
    await printJson({
      ...rest,
      fileBytes,
      suite,
      cipher,
      ...compressionJson(how),
      ...(keyFile === undefined ? {} : { keyFile }),
    });
  }
  if (json || quiet) return code;
  const amount = `${countOf(created.files, 'file')}, ${formatBytes(created.bytes)}`;
  await print(`image ${created.imageId}: ${amount}, ${cipherText(how)}, in ${printable(destination)}\n`);
  if (keyFile !== undefined) await print(`${keyMade(keyFile)}\n`);
  return code;
}
