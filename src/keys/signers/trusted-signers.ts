import { CkptfsError } from '../../base/errors.ts';
import { Certificate } from '../../crypto/certificate.ts';
import { disposeAll } from '../../crypto/certificate-pem.ts';
import { KeyProblem } from '../../crypto/key-problem.ts';
import { type PublicJwk, thumbprint } from '../../crypto/public-key.ts';
import type { PossibleSigner, SignerTrust } from '../../crypto/signer.ts';
import type { CertificateChecks } from '../certificates/certificate-checks.ts';
import { checkCertificate } from '../certificates/check-certificate.ts';
import { readTrustedPlace, type TrustedParts } from './trusted-places.ts';

/** How the certificates of signers are checked, besides their chain to a trusted one. */
export type SignerChecks = Pick<CertificateChecks, 'crlFiles' | 'ocsp' | 'ocspMilliseconds' | 'at'>;

/**
 * Reads whose signatures are accepted: public keys, certificates of signers, and those of authorities.
 * @param places files, directories of files, or the text of an SSH public key
 * @throws CkptfsError `bad-argument` for a place that holds none of them, `untrusted`, `io`
 */
export function readTrustedSigners(places: readonly string[], checks: SignerChecks = {}): SignerTrust {
  return new TrustedSigners(places.map(readTrustedPlace), checks);
}

class TrustedSigners implements SignerTrust {
  readonly #keys = new Map<string, { readonly key: PublicJwk; readonly title: string }>();
  /** Certificates that are trusted themselves, in DER, by the thumbprint of their key. */
  readonly #certificates = new Map<string, { readonly der: Buffer; readonly path: string }[]>();
  readonly #checks: CertificateChecks;

  constructor(places: readonly TrustedParts[], checks: SignerChecks) {
    for (const { keys, certificates } of places) {
      for (const { key, title } of keys) this.#keys.set(thumbprint(key), { key, title });
      for (const { keyId, der, path } of certificates) {
        this.#certificates.set(keyId, [...(this.#certificates.get(keyId) ?? []), { der, path }]);
      }
    }
    const caFiles = [...new Set(places.flatMap(({ certificateFiles }) => certificateFiles))];
    this.#checks = caFiles.length === 0 ? {} : { ...checks, caFiles };
  }

  find(keyId: string, certificates: readonly Buffer[]): PossibleSigner | undefined {
    const known = this.#keys.get(keyId);
    if (known !== undefined) return { ...known, check: async () => undefined };
    if (this.#checks.caFiles === undefined) return undefined;
    const own = this.#certificates.get(keyId) ?? [];
    const chains = [
      ...own.map(({ der, path }) => this.#certified(keyId, [der], path)),
      this.#certified(keyId, certificates, 'the signature'),
    ];
    return firstOf(chains.filter((chain) => chain !== undefined));
  }

  /** @param chain of unknown origin: the key must be that of the first one, which is checked later */
  #certified(keyId: string, chain: readonly Buffer[], source: string): PossibleSigner | undefined {
    const [first] = chain;
    const facts = first && factsOf(first, source);
    if (facts === undefined || thumbprint(facts.key) !== keyId) return undefined;
    return { ...facts, check: () => this.#check(chain, source) };
  }

  async #check(chain: readonly Buffer[], source: string): Promise<void> {
    const parsed: Certificate[] = [];
    try {
      for (const der of chain) parsed.push(new Certificate(der, source));
      const [first, ...issuers] = parsed as [Certificate, ...Certificate[]];
      const { isTrusted } = await checkCertificate(first, issuers, 'signer', this.#checks);
      if (!isTrusted) throw new CkptfsError('internal', 'a certificate without a trusted issuer was accepted');
    } finally {
      disposeAll(parsed);
    }
  }
}

/** Joins what one signer may be trusted by. Any is enough, such as the certificate that replaces an expired one. */
function firstOf([first, ...rest]: readonly PossibleSigner[]): PossibleSigner | undefined {
  if (first === undefined || rest.length === 0) return first;
  const check = async (): Promise<void> => {
    let failure: unknown;
    for (const possible of [first, ...rest]) {
      try {
        return await possible.check();
      } catch (error) {
        if (!(error instanceof CkptfsError) || error.code !== 'untrusted') throw error;
        failure ??= error;
      }
    }
    throw failure;
  };
  return { ...first, check };
}

/** Returns undefined for what is no certificate, or has a key of a kind that is not used. */
function factsOf(der: Buffer, source: string): { readonly key: PublicJwk; readonly title: string } | undefined {
  let certificate: Certificate | undefined;
  try {
    certificate = new Certificate(der, source);
    return { key: certificate.publicKey, title: certificate.title };
  } catch (error) {
    const isNone = error instanceof KeyProblem || (error instanceof CkptfsError && error.code === 'untrusted');
    if (isNone) return undefined;
    throw error;
  } finally {
    certificate?.dispose();
  }
}
