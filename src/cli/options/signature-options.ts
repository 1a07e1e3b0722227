import type { Argv } from 'yargs';
import { CkptfsError } from '../../base/errors.ts';
import type { SignatureDemand } from '../../library/signatures.ts';
import type { ImagePlace } from '../../stores/open-store.ts';
import { mayHavePolicy } from '../config/places.ts';
import { omitUndefined } from '../omit-undefined.ts';
import { epochFrom } from './options.ts';

/** Options that say who must have signed an image. */
export interface DemandArguments {
  readonly requireSignature?: boolean | undefined;
  readonly trusted?: readonly string[] | undefined;
  readonly minEpoch?: number | undefined;
  readonly epochFile?: string | undefined;
  readonly crlFile?: readonly string[] | undefined;
  readonly ocsp?: string | undefined;
  readonly policy?: string | undefined;
  readonly auditLog?: string | undefined;
}

/** Names of the options here that take several values. */
export const repeatableSignatureOptions = ['trusted', 'crl-file', 'sign', 'sign-cert'];

/** Adds the options that demand a signature. */
export function withSignatureDemand<T>(yargs: Argv<T>) {
  return yargs
    .option('require-signature', {
      type: 'boolean',
      default: false,
      describe: 'Refuse an image that is not signed by one of --trusted, before anything of it is read',
    })
    .option('trusted', {
      type: 'string',
      array: true,
      nargs: 1,
      describe:
        'Who may have signed it: a certificate of a signer or an authority, a public key, or a directory of these',
    })
    .option('min-epoch', {
      type: 'string',
      nargs: 1,
      coerce: (text: string) => epochFrom('--min-epoch', text),
      describe: 'Refuse a signed image of an older seal than this one',
    })
    .option('epoch-file', {
      type: 'string',
      nargs: 1,
      describe: 'File in which this host keeps the newest seal seen of each signed image, to refuse older ones',
    })
    .option('crl-file', {
      type: 'string',
      array: true,
      nargs: 1,
      describe: 'Lists of revoked certificates, of each authority in the chain',
    })
    .option('ocsp', {
      type: 'string',
      nargs: 1,
      describe: 'Responder to ask whether a certificate is revoked: auto, off or a URL',
    });
}

/**
 * Returns what the arguments and the policies demand; undefined when it is nothing. Each of them has to be met.
 * @throws CkptfsError `bad-argument` for what is demanded of no signature, or of no signer; `forbidden-by-policy`;
 *   others as `readTrustedSigners`
 */
export async function signatureDemand(args: DemandArguments): Promise<SignatureDemand | undefined> {
  const demand = await demandOf(args);
  if (demand === undefined) return undefined;
  const { auditOfRefusals } = await import('./audit.ts');
  return { ...demand, onRefused: auditOfRefusals(args) };
}

async function demandOf(args: DemandArguments): Promise<SignatureDemand | undefined> {
  if (args.policy === undefined && !mayHavePolicy()) return ownDemand(args);
  const { Policies } = await import('../config/enforcement.ts');
  const policies = Policies.read(args.policy).all.filter(({ rules }) => rules.requireSignature === true);
  if (policies.length === 0) return ownDemand(args);
  const { combinedDemand } = await import('../config/signature-rules.ts');
  const isOwn = (args.trusted ?? []).length > 0;
  return combinedDemand(policies, args, isOwn ? await ownDemand({ ...args, requireSignature: true }) : undefined);
}

/** @throws CkptfsError `bad-argument` for what is demanded of no signature, or of no signer */
async function ownDemand(args: DemandArguments): Promise<SignatureDemand | undefined> {
  const { requireSignature = false, trusted = [], minEpoch, epochFile, crlFile, ocsp } = args;
  if (!requireSignature) {
    const given =
      trusted.length > 0 ? '--trusted' : minEpoch !== undefined ? '--min-epoch' : epochFile && '--epoch-file';
    if (given === undefined) return undefined;
    throw new CkptfsError('bad-argument', `${given} is for --require-signature, which is not given`);
  }
  if (trusted.length === 0) {
    throw new CkptfsError('bad-argument', '--require-signature needs --trusted: a certificate or key of who signs');
  }
  const { readTrustedSigners } = await import('../../keys/signers/trusted-signers.ts');
  const trust = readTrustedSigners(trusted, omitUndefined({ crlFiles: crlFile, ocsp }));
  return { trust, minEpoch, epochFile };
}

/**
 * Verifies the signature that the arguments demand of an image that is to be served.
 * @returns SHA-256 of the only manifest that may be; undefined when no signature is demanded
 * @throws what `checkSignature` throws; CkptfsError `bad-argument` with `write`
 */
export async function demandedManifest(
  args: DemandArguments & {
    readonly ENC: string;
    readonly place?: ImagePlace | undefined;
    readonly imageId: string | undefined;
  },
  { write }: { readonly write?: boolean | undefined },
): Promise<{ readonly signedManifest?: Uint8Array }> {
  const signature = await (write === true ? ownDemand(args) : signatureDemand(args));
  if (signature === undefined) return {};
  if (write === true) {
    throw new CkptfsError('bad-argument', '--require-signature is for an image that is only read');
  }
  const { checkSignature } = await import('../../library/signatures.ts');
  return { signedManifest: (await checkSignature(args.place ?? args.ENC, signature, args.imageId)).manifestDigest };
}
