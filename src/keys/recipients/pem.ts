import type { X509Certificate } from 'node:crypto';
import { printable } from '../../base/printable.ts';
import { type SlotDescription, slotInstant } from '../../format/slot-description.ts';
import { readKeyMaterial } from '../key-material.ts';
import { type PublicKeyRecipient, publicKeyRecipient } from './public-key-recipient.ts';
import { certificatesIn, readPublicPart } from './public-parts.ts';

/** A public key or certificate in a file, as a recipient. */
export interface FileRecipient extends PublicKeyRecipient {
  /** In DER: the certificate that the key is from, and those that follow it in the file. Empty for a bare key. */
  readonly certificates: readonly Buffer[];
}

const MAX_SUBJECT = 512;

/**
 * Makes a recipient of a file with a public key (SubjectPublicKeyInfo or RSAPublicKey) or a certificate, in PEM or DER.
 * Of several the first counts. Whether a certificate is to be trusted is for the caller to check.
 * @throws CkptfsError `bad-key-file`
 */
export function readRecipientFile(path: string): FileRecipient {
  const { value } = readKeyMaterial('recipient', path, (contents) => {
    const { jwk, certificate } = readPublicPart(contents);
    if (certificate === undefined) {
      const recipient = publicKeyRecipient(`public key ${path}`, jwk, { kind: 'public-key' });
      return { ...recipient, certificates: [] };
    }
    const recipient = publicKeyRecipient(`certificate ${path}`, jwk, describeCertificate(certificate));
    const chain = certificatesIn(contents).slice(1);
    return { ...recipient, certificates: [certificate.raw, ...chain] };
  });
  return value;
}

/** Says in a slot which certificate it was made for. */
function describeCertificate(certificate: X509Certificate): SlotDescription {
  // Node gives one attribute a line, in the order of the certificate.
  const subject = printable(certificate.subject.split('\n').reverse().join(','), MAX_SUBJECT);
  return {
    kind: 'certificate',
    ...(subject === '' ? {} : { subject }),
    certificate: Buffer.from(certificate.fingerprint256.replaceAll(':', ''), 'hex').toString('base64url'),
    notAfter: slotInstant(new Date(certificate.validTo)),
  };
}
