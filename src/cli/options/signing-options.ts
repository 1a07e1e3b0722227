import type { Argv } from 'yargs';
import { CkptfsError } from '../../base/errors.ts';
import { forbidDumps } from '../../crypto/hardening.ts';
import type { Signer } from '../../crypto/signer.ts';
import type { SignerFile } from '../../keys/signers/signer-file.ts';
import type { CommonOptions } from '../command.ts';
import { keyFileWarning } from '../hints.ts';
import { warn } from '../terminal/output.ts';

/** Options that say who signs an image. */
export interface SigningArguments extends CommonOptions {
  readonly sign: readonly string[] | undefined;
  readonly signCert: readonly string[] | undefined;
  readonly signPassphraseFile: string | undefined;
}

/** Adds the options that sign an image. */
export function withSigningOptions<T>(yargs: Argv<T>) {
  return yargs
    .option('sign', {
      type: 'string',
      array: true,
      nargs: 1,
      describe: 'File with the private key of a signer: Ed25519, EC P-256 or P-384, or RSA; may be given again',
    })
    .option('sign-cert', {
      type: 'string',
      array: true,
      nargs: 1,
      describe: 'Certificate of such a key, with those of its issuers after it, that goes into the image',
    })
    .option('sign-passphrase-file', {
      type: 'string',
      nargs: 1,
      describe: 'File with the passphrase of such a key; without it you are asked',
    });
}

/** Reads the signers that the arguments name, does the work, and wipes their keys. */
export async function withSigners<T>(
  args: SigningArguments,
  work: (signers: readonly Signer[]) => Promise<T>,
): Promise<T> {
  const { sign = [], signCert = [] } = args;
  if (sign.length === 0) {
    const given = signCert.length > 0 ? '--sign-cert' : args.signPassphraseFile && '--sign-passphrase-file';
    if (given !== undefined) throw new CkptfsError('bad-argument', `${given} is for --sign, which is not given`);
    return work([]);
  }
  const { embedCertificates, SignerFile } = await import('../../keys/signers/signer-file.ts');
  // The warning that this may be refused comes with the keys of the image.
  forbidDumps();
  const signers: SignerFile[] = [];
  try {
    for (const path of sign) signers.push(await SignerFile.read(path, (file) => passphraseOf(file, args)));
    for (const path of signCert) await embedCertificates(path, signers);
    if (!args.quiet) for (const { warning } of signers) if (warning !== undefined) await warn(keyFileWarning(warning));
    return await work(signers);
  } finally {
    for (const signer of signers) signer.dispose();
  }
}

async function passphraseOf(path: string, { signPassphraseFile }: SigningArguments) {
  if (signPassphraseFile === undefined) {
    const { askForPassphrase } = await import('../../keys/sources/prompt.ts');
    return askForPassphrase(`Passphrase of ${path}`);
  }
  const { openKeySource } = await import('../../keys/sources/registry.ts');
  return (await openKeySource(`passphrase:${signPassphraseFile}`)).read();
}
