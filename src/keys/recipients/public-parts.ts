import { createPublicKey, type KeyObject, X509Certificate } from 'node:crypto';
import { KeyProblem } from '../../crypto/key-problem.ts';
import { isPem, type PemBlock, readPem, wipeBlocks } from '../../crypto/pem.ts';
import { type PublicJwk, publicJwkOf } from '../../crypto/public-key.ts';

/** A public key in a file, and the certificate that it is from. */
export interface PublicPart {
  readonly jwk: PublicJwk;
  readonly certificate?: X509Certificate;
}

const CERTIFICATE_LABELS: ReadonlySet<string> = new Set(['CERTIFICATE', 'X509 CERTIFICATE']);
const KEY_LABELS: ReadonlyMap<string, 'spki' | 'pkcs1'> = new Map([
  ['PUBLIC KEY', 'spki'],
  ['RSA PUBLIC KEY', 'pkcs1'],
]);

/**
 * Reads the public key, or the first certificate, of a file in PEM or DER. A private key beside it is not looked at.
 * @throws KeyProblem when there is none, or one of a kind that is not used
 */
export function readPublicPart(contents: Buffer): PublicPart {
  if (!isPem(contents)) return partOfDer(contents);
  const blocks = readPem(contents, (label) => CERTIFICATE_LABELS.has(label) || KEY_LABELS.has(label));
  try {
    const [block] = blocks;
    if (block !== undefined) return partOfBlock(block);
    throw new KeyProblem('not-a-key', `holds no public key and no certificate${hint(contents)}`);
  } finally {
    wipeBlocks(blocks);
  }
}

/** Returns the certificates of a PEM file in their order, in DER: at most 64, damaged ones included. */
export function certificatesIn(contents: Buffer): Buffer[] {
  const blocks = isPem(contents) ? readPem(contents, (label) => CERTIFICATE_LABELS.has(label)) : [];
  return blocks.map(({ contents: der }) => der);
}

function partOfBlock({ label, contents }: PemBlock): PublicPart {
  const type = KEY_LABELS.get(label);
  if (type === undefined) return partOfCertificate(contents);
  const key = publicKeyOf(contents, type);
  if (key === undefined) throw new KeyProblem('not-a-key', 'holds a damaged public key');
  return { jwk: publicJwkOf(key) };
}

function partOfDer(der: Buffer): PublicPart {
  const key = publicKeyOf(der, 'spki') ?? publicKeyOf(der, 'pkcs1');
  return key === undefined ? partOfCertificate(der) : { jwk: publicJwkOf(key) };
}

function partOfCertificate(der: Buffer): PublicPart {
  // A copy, as the caller wipes what it was given.
  const copy = Buffer.from(der);
  try {
    const certificate = new X509Certificate(copy);
    return { jwk: publicJwkOf(certificate.publicKey), certificate };
  } catch (error) {
    if (error instanceof KeyProblem) throw error;
    throw new KeyProblem('not-a-key', 'holds no public key and no certificate');
  }
}

function publicKeyOf(der: Buffer, type: 'spki' | 'pkcs1'): KeyObject | undefined {
  try {
    return createPublicKey({ key: der, format: 'der', type });
  } catch {
    return undefined;
  }
}

function hint(contents: Buffer): string {
  return contents.includes('PRIVATE KEY-----') ? ', but a private key, which only opens images' : '';
}
