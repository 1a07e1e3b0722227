import { createHash, X509Certificate } from 'node:crypto';
import { CkptfsError } from '../base/errors.ts';
import { untrusted } from './certificate-problem.ts';
import { x509Library } from './libcrypto-x509.ts';
import { dateAt, decoded, encoded, nameAt, stackItems, textAt } from './openssl-values.ts';
import { type PublicJwk, publicJwkOf } from './public-key.ts';

export const MAX_CERTIFICATE_BYTES = 65_536;
/** What an extension that a certificate does not have is said to be. */
const ABSENT = 0xffffffff;
const MAX_RESPONDERS = 8;

const KEY_USAGES = {
  digitalSignature: 0x80,
  nonRepudiation: 0x40,
  keyEncipherment: 0x20,
  dataEncipherment: 0x10,
  keyAgreement: 0x08,
  keyCertSign: 0x04,
  cRLSign: 0x02,
} as const;
const EXTENDED_KEY_USAGES = {
  serverAuth: 0x1,
  clientAuth: 0x2,
  emailProtection: 0x4,
  codeSigning: 0x8,
  OCSPSigning: 0x20,
  timeStamping: 0x40,
  anyExtendedKeyUsage: 0x100,
} as const;

/** A bit of the extension keyUsage, as RFC 5280 §4.2.1.3 names it. */
export type KeyUsage = keyof typeof KEY_USAGES;
/** A purpose of the extension extKeyUsage that OpenSSL knows, as RFC 5280 §4.2.1.12 names it. */
export type ExtendedKeyUsage = keyof typeof EXTENDED_KEY_USAGES;

/** An X.509 certificate, parsed by OpenSSL. Nothing is trusted by being parsed. The caller disposes of it. */
export class Certificate {
  /** The file that it is from, or where else, for messages. */
  readonly source: string;
  readonly der: Buffer;
  /** One printable line by RFC 2253; may be empty. */
  readonly subject: string;
  /** Like {@link subject}. */
  readonly issuer: string;
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** Undefined when the certificate does not restrict it. */
  readonly keyUsage: ReadonlySet<KeyUsage> | undefined;
  /** Like {@link keyUsage}. */
  readonly extendedKeyUsage: ReadonlySet<ExtendedKeyUsage> | undefined;
  #pointer: number;

  /** @throws CkptfsError `untrusted` (`not-a-certificate`) for anything but one certificate in DER */
  constructor(der: Uint8Array, source: string) {
    const lib = x509Library();
    const refuse = (problem: string) => untrusted(source, 'not-a-certificate', problem);
    if (der.length > MAX_CERTIFICATE_BYTES) {
      throw refuse(`the certificate is larger than ${MAX_CERTIFICATE_BYTES} bytes`);
    }
    const pointer = decoded(der, lib.certificateRead, lib.certificateFree);
    if (pointer === undefined) throw refuse('not a certificate');
    this.#pointer = pointer;
    this.source = source;
    this.der = Buffer.from(der);
    this.subject = nameAt(lib.subject(pointer));
    this.issuer = nameAt(lib.issuer(pointer));
    const [notBefore, notAfter] = [dateAt(lib.notBefore(pointer)), dateAt(lib.notAfter(pointer))];
    this.keyUsage = namesOf(lib.keyUsage(pointer), KEY_USAGES);
    this.extendedKeyUsage = namesOf(lib.extendedKeyUsage(pointer), EXTENDED_KEY_USAGES);
    lib.clearErrors();
    // In another encoding one certificate would have several fingerprints.
    if (
      notBefore === undefined ||
      notAfter === undefined ||
      !encoded(pointer, lib.certificateWrite)?.equals(this.der)
    ) {
      this.dispose();
      throw refuse('not a certificate in DER');
    }
    this.notBefore = notBefore;
    this.notAfter = notAfter;
  }

  /** The X509 of OpenSSL. */
  get pointer(): number {
    if (this.#pointer === 0) throw new CkptfsError('internal', 'a certificate was used after it was disposed of');
    return this.#pointer;
  }

  /** SHA-256 of the DER in base64url: `x5t#S256` of RFC 7515 §4.1.8. */
  get fingerprint(): string {
    return createHash('sha256').update(this.der).digest('base64url');
  }

  /** The subject for a sentence. */
  get title(): string {
    return this.subject === '' ? 'a certificate without a name' : `the certificate of ${this.subject}`;
  }

  /** The strength of the key as OpenSSL rates it, in bits (NIST SP 800-57); undefined for an unknown kind. */
  get securityBits(): number | undefined {
    const lib = x509Library();
    const key = lib.publicKey(this.pointer);
    const bits = key === 0 ? undefined : lib.securityBits(key);
    lib.clearErrors();
    return bits;
  }

  /** @throws KeyProblem `unsupported` for a key of another kind or size than ckptfs uses */
  get publicKey(): PublicJwk {
    return publicJwkOf(new X509Certificate(this.der).publicKey);
  }

  /** Whether it says by basicConstraints that it is of an authority. */
  get isAuthority(): boolean {
    return x509Library().authority(this.pointer) === 1;
  }

  /** The addresses of the OCSP responders that it names (RFC 5280 §4.2.2.1), at most 8. */
  get responders(): string[] {
    const lib = x509Library();
    const texts = lib.responders(this.pointer);
    lib.clearErrors();
    if (texts === 0) return [];
    const found = stackItems(texts).slice(0, MAX_RESPONDERS).map(textAt);
    lib.textsFree(texts);
    return found;
  }

  /** Tells whether the names and key identifiers of `issuer` are those of the issuer of this one. */
  isNamedAsIssuedBy(issuer: Certificate): boolean {
    const fits = x509Library().issued(issuer.pointer, this.pointer) === 0;
    x509Library().clearErrors();
    return fits;
  }

  /** Frees what OpenSSL holds. May be called again. */
  dispose(): void {
    if (this.#pointer !== 0) x509Library().certificateFree(this.#pointer);
    this.#pointer = 0;
  }
}

function namesOf<Name extends string>(bits: number, known: Record<Name, number>): ReadonlySet<Name> | undefined {
  if (bits === ABSENT) return undefined;
  return new Set((Object.keys(known) as Name[]).filter((name) => (bits & known[name]) !== 0));
}
