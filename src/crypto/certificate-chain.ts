import { CkptfsError } from '../base/errors.ts';
import type { Certificate } from './certificate.ts';
import { MAX_CHAIN_LENGTH } from './certificate-pem.ts';
import type { RevocationList } from './certificate-revocation-list.ts';
import { x509Library } from './libcrypto-x509.ts';
import { stackItems, textAt, withStack } from './openssl-values.ts';

/** openssl/x509_vfy.h: X509_V_FLAG_…. */
const FLAGS = { crlCheck: 0x4, partialChain: 0x80000, noCheckTime: 0x200000 } as const;

/** openssl/ssl.h, SSL_CTX_set_security_level: 112 bits, so RSA with 2048, elliptic curves with 224, and no SHA-1. */
const SECURITY_LEVEL = 2;
export const MIN_SECURITY_BITS = 112;

/** openssl/x509_vfy.h: X509_V_ERR_…, those that are told apart. */
export const VERIFY_ERRORS = {
  noIssuer: 2,
  signatureFailure: 7,
  notYetValid: 9,
  expired: 10,
  crlNotYetValid: 11,
  crlExpired: 12,
  selfSigned: 18,
  selfSignedInChain: 19,
  noLocalIssuer: 20,
  leafNotVerified: 21,
  chainTooLong: 22,
  revoked: 23,
  untrusted: 27,
  noCrl: 3,
  leafKeyTooSmall: 66,
  keyTooSmall: 67,
  weakDigest: 68,
} as const;

export interface ChainOptions {
  /** The time to verify for; undefined to leave out what times say. */
  readonly at?: Date;
  /** Whether the first certificate must not be on the list of its issuer, which must be there. */
  readonly revocation?: boolean;
}

export interface ChainResult {
  /** 0 when the chain holds, or else an X509_V_ERR_…; {@link VERIFY_ERRORS} has some. */
  readonly error: number;
  /** OpenSSL's words for the error. */
  readonly text: string;
  /** The certificate that the error is about. */
  readonly culprit: Certificate | undefined;
  /** From the first certificate to the trusted one, as far as it was found. */
  readonly chain: readonly Certificate[];
  /** The newest list of the issuer of that certificate, if there is one. */
  readonly list: RevocationList | undefined;
}

/** Certificates that are trusted, and lists of revoked ones. It does not own them, and must not outlive them. */
export class TrustStore {
  readonly #anchors: readonly Certificate[];
  readonly #lists: readonly RevocationList[];
  #pointer: number;

  /** @param anchors trusted by themselves: roots, but other certificates too, even that of one host */
  constructor(anchors: readonly Certificate[], lists: readonly RevocationList[] = []) {
    const lib = x509Library();
    this.#anchors = anchors;
    this.#lists = lists;
    this.#pointer = lib.storeNew();
    if (this.#pointer === 0) throw failure('X509_STORE_new');
    try {
      for (const { pointer } of anchors) this.#require(lib.storeAddCertificate(this.#pointer, pointer));
      for (const { pointer } of lists) this.#require(lib.storeAddCrl(this.#pointer, pointer));
    } catch (error) {
      this.dispose();
      throw error;
    }
  }

  /** Returns the X509_STORE of OpenSSL, with parameters for verifying at a time. */
  pointerFor(at: Date): number {
    setParameters(x509Library().storeParameters(this.#live()), { at });
    return this.#pointer;
  }

  /**
   * Looks for a chain from a certificate to a trusted one, by RFC 5280 §6 as OpenSSL implements it.
   * @param others that may be in between, from the same source as the first one, so not trusted
   */
  verify(first: Certificate, others: readonly Certificate[], options: ChainOptions): ChainResult {
    const lib = x509Library();
    const known = new Map([first, ...others, ...this.#anchors].map((one) => [one.pointer, one]));
    const pointers = others.map(({ pointer }) => pointer);
    return withStack(pointers, (stack) => {
      const context = lib.contextNew();
      try {
        if (context === 0 || lib.contextInit(context, this.#live(), first.pointer, stack) !== 1) {
          throw failure('X509_STORE_CTX_init');
        }
        setParameters(lib.contextParameters(context), options);
        const isVerified = lib.verify(context) === 1;
        const error = lib.contextError(context);
        const culprit = known.get(lib.contextCertificate(context));
        return {
          // An error that OpenSSL does not name must not be taken for success.
          error: isVerified ? 0 : error || -1,
          text: textAt(lib.errorText(error)),
          culprit,
          chain: stackItems(lib.contextChain(context)).flatMap((pointer) => known.get(pointer) ?? []),
          list: this.#lists
            .filter(({ issuer }) => issuer === culprit?.issuer)
            .sort((a, b) => a.nextUpdate.getTime() - b.nextUpdate.getTime())
            .at(-1),
        };
      } finally {
        lib.contextFree(context);
        lib.clearErrors();
      }
    });
  }

  /** Frees what OpenSSL holds. May be called again. */
  dispose(): void {
    if (this.#pointer !== 0) x509Library().storeFree(this.#pointer);
    this.#pointer = 0;
  }

  #live(): number {
    if (this.#pointer === 0) throw new CkptfsError('internal', 'a trust store was used after it was disposed of');
    return this.#pointer;
  }

  #require(result: number): void {
    if (result !== 1) throw failure('X509_STORE_add');
  }
}

function setParameters(parameters: number, { at, revocation = false }: ChainOptions): void {
  const lib = x509Library();
  const time = at === undefined ? FLAGS.noCheckTime : 0;
  lib.setFlags(parameters, FLAGS.partialChain | time | (revocation ? FLAGS.crlCheck : 0));
  lib.setDepth(parameters, MAX_CHAIN_LENGTH - 2);
  lib.setSecurityLevel(parameters, SECURITY_LEVEL);
  if (at !== undefined) lib.setTime(parameters, Math.floor(at.getTime() / 1000));
}

function failure(what: string): CkptfsError {
  x509Library().clearErrors();
  return new CkptfsError('internal', `OpenSSL: ${what} failed`);
}
