import { createPublicKey, X509Certificate } from 'node:crypto';
import { MalformedError } from '../../base/bytes.ts';
import { DerReader, TAG } from '../../crypto/der.ts';
import { CURVE_SIZES, type NistCurve, type PublicJwk, publicJwkOf } from '../../crypto/public-key.ts';
import type { Session } from './session.ts';
import { CKA, CKK, CKO, Template } from './structures.ts';

/** Bytes of a modulus, a point or an identifier; and of a certificate. */
const MAX_NUMBER = 4096;
const MAX_CERTIFICATE = 65_536;
const UNCOMPRESSED = 4;

/** The curves as CKA_EC_PARAMS has them: object identifiers in DER. */
const CURVES: ReadonlyMap<string, NistCurve> = new Map([
  ['06082a8648ce3d030107', 'P-256'],
  ['06052b81040022', 'P-384'],
  ['06052b81040023', 'P-521'],
]);

/**
 * Returns the public key that belongs to a private key: from itself, from a public key with its CKA_ID, or from a
 * certificate with that. Undefined when the token has none of them, or they are of another kind.
 * @throws ModuleFault, KeyProblem, MalformedError
 */
export function publicPartOf(session: Session, privateKey: number): PublicJwk | undefined {
  const own = publicJwkIn(session, privateKey);
  if (own !== undefined) return own;
  const id = session.attribute(privateKey, CKA.id, MAX_NUMBER);
  if (id === undefined || id.length === 0) return undefined;
  for (const objectClass of [CKO.public, CKO.cert]) {
    const template = new Template([
      [CKA.class, objectClass],
      [CKA.id, id],
    ]);
    const [object] = session.find(template, 1);
    const found = object === undefined ? undefined : publicPartIn(session, object, objectClass);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Returns the public key of a public key or a certificate. @throws as {@link publicPartOf} */
export function publicPartIn(session: Session, object: number, objectClass: number): PublicJwk | undefined {
  if (objectClass !== CKO.cert) return publicJwkIn(session, object);
  const der = session.attribute(object, CKA.value, MAX_CERTIFICATE);
  return der && publicJwkOf(certificateIn(der).publicKey);
}

function certificateIn(der: Buffer): X509Certificate {
  try {
    return new X509Certificate(der);
  } catch {
    throw new MalformedError('a certificate that is damaged');
  }
}

function publicJwkIn(session: Session, key: number): PublicJwk | undefined {
  const kind = session.numberAttribute(key, CKA.keyType);
  if (kind === CKK.rsa) return rsaIn(session, key);
  return kind === CKK.ec ? ecIn(session, key) : undefined;
}

function rsaIn(session: Session, key: number): PublicJwk | undefined {
  const [n, e] = [CKA.modulus, CKA.publicExponent].map((type) => session.attribute(key, type, MAX_NUMBER));
  if (n === undefined || e === undefined || n.length === 0 || e.length === 0) return undefined;
  return checked({ kty: 'RSA', n: unsigned(n), e: unsigned(e) });
}

function ecIn(session: Session, key: number): PublicJwk | undefined {
  const point = session.attribute(key, CKA.ecPoint, MAX_NUMBER);
  const parameters = session.attribute(key, CKA.ecParameters, MAX_NUMBER);
  if (point === undefined || parameters === undefined || point.length === 0) return undefined;
  const crv = CURVES.get(parameters.toString('hex'));
  if (crv === undefined) throw new MalformedError('a key of another curve than P-256, P-384 and P-521');
  const size = CURVE_SIZES[crv];
  const bare = point.length === 1 + 2 * size ? point : Buffer.from(new DerReader(point).take(TAG.octets));
  if (bare.length !== 1 + 2 * size || bare[0] !== UNCOMPRESSED) throw new MalformedError('a point of another form');
  const [x, y] = [bare.subarray(1, 1 + size), bare.subarray(1 + size)].map((bytes) => bytes.toString('base64url'));
  return checked({ kty: 'EC', crv, x: x ?? '', y: y ?? '' });
}

/** Returns a key if OpenSSL takes it, so that a point is on its curve. */
function checked(jwk: PublicJwk): PublicJwk {
  try {
    return publicJwkOf(createPublicKey({ key: { ...jwk }, format: 'jwk' }));
  } catch (cause) {
    throw cause instanceof TypeError || !(cause instanceof Error) || 'code' in cause
      ? new MalformedError('numbers that are no public key')
      : cause;
  }
}

function unsigned(bytes: Buffer): string {
  const start = bytes.findIndex((byte) => byte !== 0);
  return bytes.subarray(Math.max(start, 0)).toString('base64url');
}
