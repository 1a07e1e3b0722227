import { printable } from '../../base/printable.ts';
import { Certificate } from '../../crypto/certificate.ts';
import { type SlotDescription, slotInstant } from '../../format/slot-description.ts';
import { readKeyMaterial } from '../key-material.ts';
import { type PublicKeyRecipient, publicKeyRecipient } from './public-key-recipient.ts';
import { certificatesIn, readPublicPart } from './public-parts.ts';

/** What can be checked of a recipient. */
export type CheckedRecipient = Pick<FileRecipient, 'source' | 'certificates'>;

/** A public key or certificate in a file, as a recipient. */
export interface FileRecipient extends PublicKeyRecipient {
  /** In DER: the certificate that the key is from, and those that follow it in the file. Empty for a bare key. */
  readonly certificates: readonly Buffer[];
}

const MAX_SUBJECT = 512;

/**
 * Makes a recipient of a file with a public key (SubjectPublicKeyInfo or RSAPublicKey) or a certificate, in PEM or DER.
 * Of several the first counts. Whether a certificate is accepted is for the caller to check, by `checkCertificate` with
 * {@link FileRecipient.certificates}, so that what is checked is what was read.
 * @throws CkptfsError `bad-key-file`; `untrusted` for a certificate that is not in DER
 */
export function readRecipientFile(path: string): FileRecipient {
  return readKeyMaterial('recipient', path, (contents) => recipientIn(contents, path)).value;
}

/**
 * Makes a recipient of the contents of such a file.
 * @param name names it in messages
 * @throws KeyProblem; CkptfsError `untrusted` for a certificate that is not in DER
 */
export function recipientIn(contents: Buffer, name: string): FileRecipient {
  const { jwk, certificate } = readPublicPart(contents);
  if (certificate === undefined) {
    return { ...publicKeyRecipient(`public key ${name}`, jwk, { kind: 'public-key' }), certificates: [] };
  }
  const recipient = publicKeyRecipient(`certificate ${name}`, jwk, describeCertificate(certificate.raw, name));
  return { ...recipient, certificates: [certificate.raw, ...certificatesIn(contents).slice(1)] };
}

/** Says in a slot which certificate it was made for. */
function describeCertificate(der: Buffer, path: string): SlotDescription {
  const certificate = new Certificate(der, path);
  try {
    const subject = printable(certificate.subject, MAX_SUBJECT);
    return {
      kind: 'certificate',
      ...(subject === '' ? {} : { subject }),
      certificate: certificate.fingerprint,
      notAfter: slotInstant(certificate.notAfter),
    };
  } finally {
    certificate.dispose();
  }
}
