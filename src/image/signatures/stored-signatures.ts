import { MalformedError } from '../../base/bytes.ts';
import { CkptfsError } from '../../base/errors.ts';
import { MAX_SIGNATURES_SIZE, parseSignatures, type SignatureFile } from '../../format/signatures.ts';
import type { Store } from '../../stores/store.ts';
import { readProtectedHeader } from './protected-header.ts';

/** What is in the place of the signatures of an image. Nothing of it is verified. */
export type StoredSignatures =
  | { readonly kind: 'none' }
  /** `problem` is the end of a sentence. */
  | { readonly kind: 'damaged'; readonly problem: string }
  | ({ readonly kind: 'found' } & SignatureFile);

/** Reads the file `signatures`. @throws CkptfsError `io` */
export function readSignatures(store: Store): StoredSignatures {
  try {
    const bytes = store.readNamed('signatures', MAX_SIGNATURES_SIZE);
    return bytes === undefined ? { kind: 'none' } : { kind: 'found', ...parseSignatures(bytes) };
  } catch (error) {
    if (error instanceof MalformedError) return { kind: 'damaged', problem: error.message };
    if (error instanceof CkptfsError && error.code === 'damaged') return { kind: 'damaged', problem: error.message };
    throw error;
  }
}

/** What a signature says of itself, without being verified. */
export interface ListedSignature {
  readonly algorithm: string;
  /** The thumbprint of the key of the signer. */
  readonly signer: string;
  /** When it was made, by ISO 8601. */
  readonly signedAt: string;
  /** The certificate of the signer in DER, if it came with the signature. */
  readonly certificate?: Buffer;
}

/** Lists the signatures of an image. Those that do not count are left out. @throws CkptfsError `io` */
export function listSignatures(store: Store): readonly ListedSignature[] {
  const stored = readSignatures(store);
  if (stored.kind !== 'found') return [];
  return stored.signatures.flatMap((one): ListedSignature[] => {
    const parameters = readProtectedHeader(one.protected);
    if (parameters === undefined) return [];
    const { algorithm, keyId, issuedAt, certificates } = parameters;
    const [certificate] = certificates;
    return [
      { algorithm, signer: keyId, signedAt: instant(issuedAt), ...(certificate === undefined ? {} : { certificate }) },
    ];
  });
}

/** Returns a time of a signature as text. JavaScript has no dates beyond the year 275760. */
export function instant(seconds: number): string {
  const time = new Date(seconds * 1000);
  return Number.isNaN(time.getTime()) ? 'out of range' : `${time.toISOString().slice(0, 19)}Z`;
}
