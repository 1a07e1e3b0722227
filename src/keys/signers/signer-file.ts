import { CkptfsError } from '../../base/errors.ts';
import type { Certificate } from '../../crypto/certificate.ts';
import { MAX_CHAIN_LENGTH } from '../../crypto/certificate-pem.ts';
import { KeyProblem } from '../../crypto/key-problem.ts';
import type { PrivateKey } from '../../crypto/private-key.ts';
import { readPrivateKey } from '../../crypto/private-key-file.ts';
import { type PublicJwk, type SignatureAlgorithm, thumbprint } from '../../crypto/public-key.ts';
import { Secret } from '../../crypto/secret.ts';
import { type Signer, signatureAlgorithmOf } from '../../crypto/signer.ts';
import { readCertificateFile } from '../certificates/certificate-files.ts';
import { checkCertificate } from '../certificates/check-certificate.ts';
import type { KeyFileWarning } from '../key-file.ts';
import { asKeyFileError, readKeyMaterial } from '../key-material.ts';
import { isOpenSshPrivateKey, openOpenSshKey, readOpenSshKey } from '../ssh/private-key.ts';

const KIND = 'private key';

/** Gets the passphrase of a private key. The secret is wiped after use. */
export type SignerPassphrase = (path: string) => Promise<Secret>;

/** A private key in a file that signs images. The caller disposes of it. */
export class SignerFile implements Signer {
  readonly source: string;
  readonly warning: KeyFileWarning | undefined;
  readonly #key: PrivateKey;
  #certificates: readonly Buffer[] = [];

  private constructor(path: string, key: PrivateKey, warning: KeyFileWarning | undefined) {
    this.source = `${KIND} ${path}`;
    this.#key = key;
    this.warning = warning;
  }

  /**
   * Reads a key: Ed25519, EC P-256 or P-384, or RSA, in each form of {@link readPrivateKey}, or that of OpenSSH.
   * @param passphrase is called when one protects the key
   * @throws CkptfsError `bad-key-file`
   */
  static async read(path: string, passphrase?: SignerPassphrase): Promise<SignerFile> {
    const { value, warning } = readKeyMaterial(KIND, path, readOrKeep);
    const key = value instanceof Secret ? await decrypted(path, value, passphrase) : value;
    if (signatureAlgorithmOf(key.publicJwk) !== undefined) return new SignerFile(path, key, warning);
    key.dispose();
    throw asKeyFileError(KIND, path, new KeyProblem('unsupported', 'is a key of a kind that signs no images'));
  }

  get publicJwk(): PublicJwk {
    return this.#key.publicJwk;
  }

  get certificates(): readonly Buffer[] {
    return this.#certificates;
  }

  sign(algorithm: SignatureAlgorithm, data: Uint8Array): Buffer {
    return this.#key.sign(algorithm, data);
  }

  /** @param certificates in DER, that of this key first */
  embed(certificates: readonly Buffer[]): void {
    this.#certificates = certificates.slice(0, MAX_CHAIN_LENGTH);
  }

  /** Wipes the key. */
  dispose(): void {
    this.#key.dispose();
  }
}

/**
 * Gives a certificate, and those of its issuers that follow it in the file, to the signer whose key it is of.
 * @throws CkptfsError `bad-key-file` (`mismatch`) when it is of none, `untrusted` when it may not sign now, `io`
 */
export async function embedCertificates(path: string, signers: readonly SignerFile[]): Promise<void> {
  const chain = readCertificateFile(path);
  try {
    const [first, ...issuers] = chain as [Certificate, ...Certificate[]];
    await checkCertificate(first, issuers, 'signer');
    const signer = signers.find(({ publicJwk }) => thumbprint(publicJwk) === thumbprint(first.publicKey));
    if (signer === undefined) {
      throw new CkptfsError('bad-key-file', `${path}: ${first.title} is of another key than those that sign`, {
        path,
        data: { reason: 'mismatch' },
      });
    }
    signer.embed(chain.map(({ der }) => der));
  } finally {
    for (const certificate of chain) certificate.dispose();
  }
}

/** Returns the key, or the contents of a file that needs a passphrase. */
function readOrKeep(contents: Buffer): PrivateKey | Secret {
  try {
    return isOpenSshPrivateKey(contents) ? readOpenSshKey(contents) : readPrivateKey(contents);
  } catch (error) {
    if (!(error instanceof KeyProblem) || error.reason !== 'passphrase-needed') throw error;
    return Secret.copy(contents);
  }
}

async function decrypted(
  path: string,
  contents: Secret,
  passphrase: SignerPassphrase | undefined,
): Promise<PrivateKey> {
  let secret: Secret | undefined;
  try {
    secret = await passphrase?.(path);
    const { buffer, byteOffset, byteLength } = contents.bytes;
    const text = Buffer.from(buffer, byteOffset, byteLength);
    if (secret !== undefined && isOpenSshPrivateKey(text)) return await openOpenSshKey(text, secret);
    return isOpenSshPrivateKey(text) ? readOpenSshKey(text) : readPrivateKey(text, secret);
  } catch (error) {
    throw asKeyFileError(KIND, path, error);
  } finally {
    secret?.wipe();
    contents.wipe();
  }
}
