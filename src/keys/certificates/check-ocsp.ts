import type { Deadline } from '../../base/deadline.ts';
import type { CkptfsError } from '../../base/errors.ts';
import { printable } from '../../base/printable.ts';
import type { Certificate } from '../../crypto/certificate.ts';
import type { TrustStore } from '../../crypto/certificate-chain.ts';
import { OcspQuestion } from '../../crypto/certificate-ocsp.ts';
import { untrusted } from '../../crypto/certificate-problem.ts';
import { issuerUnknown, revoked } from './check-revocation.ts';
import { askResponder, isResponderUrl, NoAnswer } from './ocsp-responder.ts';

type Finding = CkptfsError<'untrusted'>;

const MAX_SHOWN_URL = 200;

/** What all responders of a chain are asked with. */
export interface OcspOptions {
  /** The address of the responder, or `auto`. */
  readonly choice: string;
  readonly at: Date;
  /** Until when all of them must have answered. */
  readonly deadline: Deadline;
  /** Certificates that the server of a responder may be certified by. */
  readonly authorities: readonly Certificate[];
}

/**
 * Asks OCSP responders about the certificates of a chain that was verified. Only then is an address that a certificate
 * names the word of an authority that is trusted: a certificate of another origin could make this host send anywhere.
 * @param path the certificate first, a trusted one last
 */
export async function checkByResponders(
  path: readonly Certificate[],
  store: TrustStore,
  options: OcspOptions,
): Promise<Finding[]> {
  const [first] = path;
  if (first === undefined) return [];
  if (path.length === 1) return issuerUnknown(first);
  const findings: Finding[] = [];
  for (const [index, certificate] of path.slice(0, -1).entries()) {
    const url = responderOf(certificate, index, options.choice);
    if (url !== undefined) findings.push(...(await checkByResponder(path, index, url, store, options)));
    else if (index === 0) {
      findings.push(untrusted(first.source, 'revocation-unknown', `${first.title} names no OCSP responder`));
    }
  }
  return findings;
}

/** A responder that was named by its address is that of the certificate itself, not of its issuers. */
function responderOf(certificate: Certificate, index: number, choice: string): string | undefined {
  if (choice === 'auto') return certificate.responders.find(isResponderUrl);
  return index === 0 ? choice : undefined;
}

async function checkByResponder(
  path: readonly Certificate[],
  index: number,
  url: string,
  store: TrustStore,
  { at, deadline, authorities }: OcspOptions,
): Promise<Finding[]> {
  const [first, certificate, issuer] = [path[0], path[index], path[index + 1]];
  if (first === undefined || certificate === undefined || issuer === undefined) return [];
  const { source, subject } = first;
  const responder = `the OCSP responder ${printable(url, MAX_SHOWN_URL)}`;
  const cannotTell = `whether ${certificate.title} is revoked cannot be told`;
  const question = new OcspQuestion(certificate, issuer);
  try {
    const answer = await askResponder(url, question.bytes, { deadline, authorities: authorities.map(pem) });
    const said = question.read(answer, store, path.slice(1), at);
    switch (said.status) {
      case 'good':
        return [];
      case 'revoked':
        return [revoked(first, certificate, said)];
      case 'unknown': {
        const problem = `${cannotTell}: ${responder} does not know it`;
        return [untrusted(source, 'revocation-unknown', problem, { subject })];
      }
      case 'unusable': {
        const problem = `${cannotTell}: the answer of ${responder} does not count, as ${said.why}`;
        return [untrusted(source, 'revocation-unknown', problem, { subject })];
      }
    }
  } catch (error) {
    if (!(error instanceof NoAnswer)) throw error;
    const problem = `${cannotTell}: ${responder} ${error.message}`;
    return [untrusted(source, 'responder-unreachable', problem, { subject })];
  } finally {
    question.dispose();
  }
}

function pem({ der }: Certificate): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n');
}
