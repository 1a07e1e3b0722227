import { CkptfsError } from '../base/errors.ts';
import type { Certificate } from './certificate.ts';
import { type PemKind, parseEach } from './certificate-pem.ts';
import { untrusted } from './certificate-problem.ts';
import { x509Library } from './libcrypto-x509.ts';
import { Cell, dateAt, decoded, nameAt, textAt } from './openssl-values.ts';
import { hasWeakDigest } from './weak-digests.ts';

const CRL_KIND: PemKind = {
  labels: new Set(['X509 CRL']),
  title: 'certificate revocation list',
  reason: 'revocation-unknown',
  max: 64,
};
/** openssl/obj_mac.h: NID_crl_reason. */
const CRL_REASON = 141;

/** A certificate revocation list (RFC 5280 §5), parsed by OpenSSL. The caller disposes of it. */
export class RevocationList {
  readonly source: string;
  /** One printable line by RFC 2253. */
  readonly issuer: string;
  readonly nextUpdate: Date;
  #pointer: number;

  /** @throws CkptfsError `untrusted` (`revocation-unknown`) for anything but a list in DER that can be relied upon */
  constructor(der: Uint8Array, source: string) {
    const lib = x509Library();
    const refuse = (problem: string) => untrusted(source, 'revocation-unknown', problem);
    const pointer = decoded(der, lib.crlRead, lib.crlFree);
    if (pointer === undefined) throw refuse('not a certificate revocation list');
    this.#pointer = pointer;
    this.source = source;
    this.issuer = nameAt(lib.crlIssuer(pointer));
    const nextUpdate = dateAt(lib.crlNextUpdate(pointer));
    const problem =
      nextUpdate === undefined
        ? 'does not say when the next one is due'
        : hasWeakDigest(lib.crlSignature(pointer))
          ? 'is signed with a weak digest'
          : undefined;
    if (nextUpdate === undefined || problem !== undefined) {
      this.dispose();
      throw refuse(`the certificate revocation list of ${this.issuer} ${problem}`);
    }
    this.nextUpdate = nextUpdate;
  }

  /** The X509_CRL of OpenSSL. */
  get pointer(): number {
    if (this.#pointer === 0) throw new CkptfsError('internal', 'a revocation list was used after it was disposed of');
    return this.#pointer;
  }

  /** Returns what this list says of a certificate; undefined when it does not revoke it, or is of another issuer. */
  revocationOf(certificate: Certificate): Revocation | undefined {
    const lib = x509Library();
    const entry = new Cell();
    if (lib.crlEntry(this.pointer, entry.address, certificate.pointer) <= 0 || entry.pointer === 0) return undefined;
    const value = lib.revocationExtension(entry.pointer, CRL_REASON, 0, 0);
    const reason = value === 0 ? undefined : reasonText(lib.enumeratedValue(value));
    if (value !== 0) lib.stringFree(value);
    lib.clearErrors();
    return { since: dateAt(lib.revocationDate(entry.pointer)), reason };
  }

  /** Frees what OpenSSL holds. May be called again. */
  dispose(): void {
    if (this.#pointer !== 0) x509Library().crlFree(this.#pointer);
    this.#pointer = 0;
  }
}

/** When and why a certificate was revoked. */
export interface Revocation {
  readonly since: Date | undefined;
  /** A word of RFC 5280 §5.3.1, such as `keyCompromise`. */
  readonly reason: string | undefined;
}

/** Returns the word for a reason; undefined for -1, which means that none is given. */
export function reasonText(reason: number): string | undefined {
  return reason < 0 ? undefined : textAt(x509Library().reasonText(reason));
}

/**
 * Reads the lists of a PEM file, or the one of a DER file.
 * @throws CkptfsError `untrusted` (`revocation-unknown`) when there is no usable one
 */
export function parseRevocationLists(bytes: Buffer, source: string): RevocationList[] {
  return parseEach(bytes, source, CRL_KIND, (der) => new RevocationList(der, source));
}
