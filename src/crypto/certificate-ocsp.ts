import { CkptfsError } from '../base/errors.ts';
import { Region } from '../base/linux/native.ts';
import type { Certificate } from './certificate.ts';
import type { TrustStore } from './certificate-chain.ts';
import { type Revocation, reasonText } from './certificate-revocation-list.ts';
import { ocspLibrary } from './libcrypto-ocsp.ts';
import { x509Library } from './libcrypto-x509.ts';
import { Cell, dateAt, decoded, encoded, isoText, withStack } from './openssl-values.ts';
import { randomBytes } from './system-random.ts';
import { hasWeakDigest } from './weak-digests.ts';

export const MAX_OCSP_ANSWER_BYTES = 65_536;
/** RFC 9654 §2.1. */
const NONCE_SIZE = 32;
/** How much the clocks of a responder and this host may differ. */
const LEEWAY_MS = 300_000;

/** openssl/ocsp.h: OCSP_RESPONSE_STATUS_…. */
const RESPONSE_STATUSES: Readonly<Record<number, string>> = {
  1: 'malformed request',
  2: 'internal error',
  3: 'try later',
  5: 'a signed request is required',
  6: 'unauthorized',
};
/** openssl/ocsp.h: V_OCSP_CERTSTATUS_…. */
const CERTIFICATE_STATUS = { good: 0, revoked: 1 } as const;
/** What OCSP_check_nonce returns. */
const NONCE = { equal: 1, missing: -1 } as const;

/** What a responder says of a certificate. `unusable`: nothing that can be relied upon, and why. */
export type OcspAnswer =
  | { readonly status: 'good' | 'unknown' }
  | ({ readonly status: 'revoked' } & Revocation)
  | { readonly status: 'unusable'; readonly why: string };

/** One question to an OCSP responder (RFC 6960): is this certificate revoked? The caller disposes of it. */
export class OcspQuestion {
  /** The request in DER, to be sent. */
  readonly bytes: Buffer;
  #request: number;
  /** The OCSP_CERTID, which the request owns. */
  readonly #id: number;

  constructor(certificate: Certificate, issuer: Certificate) {
    const ocsp = ocspLibrary();
    this.#request = ocsp.requestNew();
    // SHA-1 names the issuer here, as RFC 5019 §2.1.1 wants it. Nothing rests on it: the answer's signer is verified.
    this.#id = ocsp.certificateId(ocsp.sha1(), certificate.pointer, issuer.pointer);
    const isAdded = this.#request !== 0 && this.#id !== 0 && ocsp.requestAdd(this.#request, this.#id) !== 0;
    if (!isAdded && this.#id !== 0) ocsp.certificateIdFree(this.#id);
    const nonce = new Region(randomBytes(NONCE_SIZE));
    const isMade = isAdded && ocsp.requestNonce(this.#request, nonce.address, nonce.length) === 1;
    const bytes = isMade ? encoded(this.#request, ocsp.requestWrite) : undefined;
    if (bytes === undefined) {
      this.dispose();
      x509Library().clearErrors();
      throw new CkptfsError('internal', 'OpenSSL: an OCSP request could not be made');
    }
    this.bytes = bytes;
  }

  /**
   * Reads an answer. It counts only if the issuer of the certificate signed it, or a responder that this issuer names.
   * @param others certificates that may lead from the signer to a trusted one
   */
  read(answer: Uint8Array, store: TrustStore, others: readonly Certificate[], at: Date): OcspAnswer {
    const ocsp = ocspLibrary();
    if (this.#request === 0) throw new CkptfsError('internal', 'an OCSP question was used after it was disposed of');
    const response =
      answer.length <= MAX_OCSP_ANSWER_BYTES ? decoded(answer, ocsp.answerRead, ocsp.answerFree) : undefined;
    if (response === undefined) return unusable('it is not an OCSP answer');
    try {
      const status = ocsp.answerStatus(response);
      if (status !== 0) return unusable(`the responder refused (${RESPONSE_STATUSES[status] ?? status})`);
      const basic = ocsp.answerBasic(response);
      if (basic === 0) return unusable('it is of a kind that is not known');
      try {
        return this.#judge(basic, store, others, at);
      } finally {
        ocsp.basicFree(basic);
      }
    } finally {
      ocsp.answerFree(response);
      x509Library().clearErrors();
    }
  }

  #judge(basic: number, store: TrustStore, others: readonly Certificate[], at: Date): OcspAnswer {
    const ocsp = ocspLibrary();
    if (hasWeakDigest(signatureOf(basic))) return unusable('it is signed with a weak digest');
    const pointers = others.map(({ pointer }) => pointer);
    const isSigned = withStack(pointers, (stack) => ocsp.basicVerify(basic, stack, store.pointerFor(at), 0) === 1);
    if (!isSigned) return unusable('it is not signed by the issuer of the certificate, or a responder of it');
    const nonce = ocsp.checkNonce(this.#request, basic);
    if (nonce !== NONCE.equal && nonce !== NONCE.missing) return unusable('it answers another request');

    const [status, reason, since, from, until] = [new Cell(), new Cell(), new Cell(), new Cell(), new Cell()];
    const cells = [status, reason, since, from, until].map(({ address }) => address);
    const [a = 0, b = 0, c = 0, d = 0, e = 0] = cells;
    if (ocsp.findStatus(basic, this.#id, a, b, c, d, e) !== 1) return unusable('it is about another certificate');
    const problem = timeProblem(dateAt(from.pointer), dateAt(until.pointer), at, nonce === NONCE.equal);
    if (problem !== undefined) return unusable(problem);
    if (status.int === CERTIFICATE_STATUS.good) return { status: 'good' };
    if (status.int !== CERTIFICATE_STATUS.revoked) return { status: 'unknown' };
    return { status: 'revoked', since: dateAt(since.pointer), reason: reasonText(reason.int) };
  }

  /** Frees what OpenSSL holds. May be called again. */
  dispose(): void {
    if (this.#request !== 0) ocspLibrary().requestFree(this.#request);
    this.#request = 0;
  }
}

/**
 * Returns what is wrong with the times of an answer. Many responders sign ahead and so leave the nonce out; then the
 * answer must say until when it holds.
 */
function timeProblem(from: Date | undefined, until: Date | undefined, at: Date, isFresh: boolean): string | undefined {
  const now = at.getTime();
  if (from === undefined) return 'it does not say since when it holds';
  if (from.getTime() > now + LEEWAY_MS) return `it holds from ${isoText(from)} only`;
  if (until !== undefined) return until.getTime() < now - LEEWAY_MS ? `it expired at ${isoText(until)}` : undefined;
  return isFresh ? undefined : 'it says neither until when it holds nor that it was made for this request';
}

function signatureOf(basic: number): number {
  const ocsp = ocspLibrary();
  const [object, algorithm] = [new Cell(), ocsp.basicAlgorithm(basic)];
  if (algorithm === 0) return 0;
  ocsp.algorithmParts(object.address, 0, 0, algorithm);
  return ocsp.objectNumber(object.pointer);
}

function unusable(why: string): OcspAnswer {
  return { status: 'unusable', why };
}
