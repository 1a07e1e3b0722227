import { createPublicKey } from 'node:crypto';
import { MalformedError } from '../../base/bytes.ts';
import { KeyProblem } from '../../crypto/key-problem.ts';
import {
  CURVE_SIZES,
  checkRsaBits,
  type NistCurve,
  type PublicJwk,
  readPublicJwk,
  rsaBits,
} from '../../crypto/public-key.ts';
import { WireReader } from './wire-reader.ts';

/** The types of key with a curve of NIST (RFC 5656 §6.2), and the curves. */
export const ECDSA_TYPES: ReadonlyMap<string, { readonly name: string; readonly curve: NistCurve }> = new Map([
  ['ecdsa-sha2-nistp256', { name: 'nistp256', curve: 'P-256' }],
  ['ecdsa-sha2-nistp384', { name: 'nistp384', curve: 'P-384' }],
  ['ecdsa-sha2-nistp521', { name: 'nistp521', curve: 'P-521' }],
]);
const UNCOMPRESSED = 4;
const MAX_TYPE = 64;

/** Tells whether a word is the type of an SSH key or certificate, one that is used or not. */
export function isSshKeyType(word: string): boolean {
  return word.length <= MAX_TYPE && /^(?:ssh|sk-ssh|ecdsa-sha2|sk-ecdsa-sha2|webauthn-sk)-[a-z0-9@.-]+$/.test(word);
}

/**
 * Reads a public key of SSH: ssh-rsa (RFC 4253 §6.6), ecdsa-sha2-nistp* (RFC 5656 §3.1) or ssh-ed25519 (RFC 8709 §4).
 * @throws KeyProblem `not-a-key`, `unsupported`
 */
export function publicKeyOfBlob(blob: Uint8Array): PublicJwk {
  try {
    const reader = new WireReader(blob);
    const jwk = readKey(reader.name(), reader);
    reader.end();
    return jwk;
  } catch (error) {
    if (error instanceof MalformedError) throw damaged();
    throw error;
  }
}

function readKey(type: string, reader: WireReader): PublicJwk {
  if (type === 'ssh-rsa') return readRsa(reader);
  if (type === 'ssh-ed25519') {
    return checked({ kty: 'OKP', crv: 'Ed25519', x: base64Url(reader.string()) });
  }
  const ecdsa = ECDSA_TYPES.get(type);
  if (ecdsa === undefined) throw unsupportedType(type);
  if (reader.name() !== ecdsa.name) throw damaged();
  return pointOf(ecdsa.curve, reader.string());
}

function readRsa(reader: WireReader): PublicJwk {
  const [e, n] = [reader.unsigned(), reader.unsigned()];
  const jwk = { kty: 'RSA', n: base64Url(n), e: base64Url(e) } as const;
  checkRsaBits(rsaBits(jwk));
  return checked(jwk);
}

/** Reads a point in the long form of SEC 1. @throws KeyProblem also when it is not on the curve */
export function pointOf(crv: NistCurve, point: Uint8Array): PublicJwk {
  const size = CURVE_SIZES[crv];
  if (point.length !== 1 + 2 * size || point[0] !== UNCOMPRESSED) throw damaged();
  const jwk = { kty: 'EC', crv, x: base64Url(point.subarray(1, 1 + size)), y: base64Url(point.subarray(1 + size)) };
  try {
    createPublicKey({ key: jwk, format: 'jwk' });
  } catch {
    throw damaged();
  }
  return checked(jwk);
}

function checked(value: object): PublicJwk {
  const jwk = readPublicJwk(value);
  if (jwk === undefined) throw damaged();
  return jwk;
}

/** Says why a type of key is not used. */
export function unsupportedType(type: string): KeyProblem {
  if (/-cert-v\d\d@/.test(type)) {
    return new KeyProblem('unsupported', 'is a certificate of SSH; the public key itself is used');
  }
  if (/^(?:sk-|webauthn-sk-)/.test(type)) {
    return new KeyProblem('unsupported', 'is an SSH key that is bound to hardware, which only signs');
  }
  const known = 'ssh-ed25519, ssh-rsa and ecdsa-sha2-nistp256, -384 and -521 are used';
  return new KeyProblem('unsupported', `is an SSH key of the type ${type}; ${known}`);
}

function damaged(): KeyProblem {
  return new KeyProblem('not-a-key', 'holds a damaged SSH key');
}

function base64Url(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64url');
}
