import type { Signer } from '../../crypto/signer.ts';
import type { CipherName } from '../../format/ciphers.ts';
import type { SuiteName } from '../../format/suites.ts';
import { CriuDirectory } from '../../library/criu-directory.ts';
import { refuseDamage } from '../../library/verify-unlocked.ts';
import { cancellable } from '../cancellation.ts';
import type { CommonOptions } from '../command.ts';
import { createAndReport } from '../options/create-and-report.ts';
import { warnAbout, withKeys } from '../options/image-arguments.ts';
import type { KeyArguments, RecipientArguments } from '../options/key-options.ts';
import type { CompressArgument } from '../options/new-image-options.ts';
import { progressBar } from '../terminal/progress.ts';
import { warnUnchecked } from './warn-unchecked.ts';

/** Arguments of `ckptfs encrypt --from`. */
interface FromArguments extends CommonOptions, KeyArguments, RecipientArguments {
  readonly from: string;
  readonly destination: string;
  readonly json: boolean;
  readonly suite: SuiteName | undefined;
  readonly cipher: CipherName | undefined;
  readonly chunkSize: number | undefined;
  readonly compress: CompressArgument | undefined;
}

/**
 * Encrypts what CRIU encrypted into a new image, without plaintext on a disk. Private keys, and the passphrase of
 * `--passphrase-file`, open it; all other keys are for the new image. Returns the exit code.
 */
export async function encryptFrom(args: FromArguments, signers: readonly Signer[]): Promise<number> {
  const { from, destination } = args;
  const opening = { ...args, keyFile: [], key: [], allowKeyUrl: [], recipient: [], ...NO_CHECKS };
  const making = { ...args, privateKey: [], keyDir: [], passphraseFile: undefined };
  return withKeys(opening, async (sourceKeys) => {
    const { forPrivateKeys: identities, onOpening } = sourceKeys;
    const source = await CriuDirectory.open(from, { identities, onOpening });
    try {
      await warnAbout(sourceKeys, args);
      await verify(source, args);
      const left = `${destination} is as it was, ${from} untouched.`;
      return await withKeys(
        making,
        async (keys) => {
          await warnAbout(keys, args);
          return createAndReport({ ...args, left }, keys, (options) =>
            source.encrypt({ ...options, destination, signers }),
          );
        },
        'make',
      );
    } finally {
      source.close();
    }
  });
}

const NO_CHECKS = { caFile: undefined, crlFile: undefined, ocsp: undefined, force: undefined } as const;

/** Refuses what is damaged: as an image of ckptfs it would look authentic. @throws CkptfsError `damaged` */
async function verify(source: CriuDirectory, { from, quiet }: FromArguments): Promise<void> {
  const bar = progressBar('verifying', quiet);
  const { damage, pages } = await cancellable(`${from} is untouched.`, (cancellation) =>
    source.verify({ onProgress: bar.update, ...cancellation }),
  ).finally(bar.end);
  refuseDamage(from, damage);
  if (!quiet) await warnUnchecked(from, pages);
}
