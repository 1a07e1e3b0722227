import { constants, createHash, createPublicKey, type KeyObject, verify } from 'node:crypto';
import { KeyProblem } from './key-problem.ts';

/** A curve of NIST that ckptfs takes keys of, by its name in JOSE (RFC 7518 §6.2.1.1). */
export type NistCurve = 'P-256' | 'P-384' | 'P-521';

export interface RsaJwk {
  readonly kty: 'RSA';
  readonly n: string;
  readonly e: string;
}
export interface EcJwk {
  readonly kty: 'EC';
  readonly crv: NistCurve;
  readonly x: string;
  readonly y: string;
}
export interface OkpJwk {
  readonly kty: 'OKP';
  readonly crv: 'X25519' | 'Ed25519';
  readonly x: string;
}

/** A public key as a JWK with the members that its thumbprint is made of, and no others (RFC 7638 §3.2). */
export type PublicJwk = RsaJwk | EcJwk | OkpJwk;

/** The algorithms of signatures (format.md §9). */
export const signatureAlgorithms = ['EdDSA', 'ES256', 'ES384', 'PS256'] as const;
export type SignatureAlgorithm = (typeof signatureAlgorithms)[number];

/** Bytes of a coordinate. */
export const CURVE_SIZES: Readonly<Record<NistCurve, number>> = { 'P-256': 32, 'P-384': 48, 'P-521': 66 };
const OKP_SIZE = 32;
/** What OpenSSL calls the curves. */
const NIST_NAMES: ReadonlySet<string> = new Set(['prime256v1', 'secp384r1', 'secp521r1']);

/** Bits of the modulus. */
export const RSA_BITS = { min: 2048, max: 16384 } as const;
/** Bytes of the public exponent. OpenSSL takes no longer one for a modulus above 3072 bits. */
const MAX_EXPONENT_SIZE = 8;

/**
 * Reads a public key of unknown origin: exactly the members of a {@link PublicJwk}, in any order, each canonical
 * base64url of the right size. Returns undefined for anything else. Whether a point is on its curve is not checked here
 * but where the key is used.
 */
export function readPublicJwk(value: unknown): PublicJwk | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  const members = new Map<string, unknown>(Object.entries(value));
  const [kty, crv] = [members.get('kty'), members.get('crv')];
  const bytes = (name: string, size: number): string | undefined => {
    const text = members.get(name);
    return typeof text === 'string' && sizeOf(text, size) === size ? text : undefined;
  };
  if (kty === 'RSA' && members.size === 3) return readRsa(members.get('n'), members.get('e'));
  if (kty === 'EC' && members.size === 4 && isNistCurve(crv)) {
    const [x, y] = [bytes('x', CURVE_SIZES[crv]), bytes('y', CURVE_SIZES[crv])];
    return x === undefined || y === undefined ? undefined : { kty, crv, x, y };
  }
  if (kty === 'OKP' && members.size === 3 && (crv === 'X25519' || crv === 'Ed25519')) {
    const x = bytes('x', OKP_SIZE);
    return x === undefined ? undefined : { kty, crv, x };
  }
  return undefined;
}

function readRsa(n: unknown, e: unknown): RsaJwk | undefined {
  if (typeof n !== 'string' || typeof e !== 'string') return undefined;
  if (sizeOf(n, RSA_BITS.max / 8) === undefined || sizeOf(e, MAX_EXPONENT_SIZE) === undefined) return undefined;
  const jwk = { kty: 'RSA', n, e } as const;
  const bits = rsaBits(jwk);
  if (bits < RSA_BITS.min || bits > RSA_BITS.max) return undefined;
  // A leading zero would give one key two thumbprints.
  const [modulus, exponent] = [Buffer.from(n, 'base64url'), Buffer.from(e, 'base64url')];
  const isOdd = ((modulus.at(-1) ?? 0) & (exponent.at(-1) ?? 0) & 1) === 1;
  return isOdd && modulus[0] !== 0 && exponent[0] !== 0 && exponent.length + (exponent[0] ?? 0) > 2 ? jwk : undefined;
}

/** Returns the number of bytes that a text is canonical base64url of, or undefined when they are above `max`. */
function sizeOf(text: string, max: number): number | undefined {
  if (text.length > Math.ceil((max * 4) / 3)) return undefined;
  const bytes = Buffer.from(text, 'base64url');
  return bytes.length > 0 && bytes.length <= max && bytes.toString('base64url') === text ? bytes.length : undefined;
}

export function isNistCurve(value: unknown): value is NistCurve {
  return typeof value === 'string' && Object.hasOwn(CURVE_SIZES, value);
}

/** Returns the bits of the modulus of an RSA key. */
export function rsaBits({ n }: RsaJwk): number {
  const modulus = Buffer.from(n, 'base64url');
  const first = modulus.findIndex((byte) => byte !== 0);
  return first === -1 ? 0 : (modulus.length - first) * 8 - (Math.clz32(modulus[first] ?? 0) - 24);
}

/** Returns the JWK thumbprint of a key: SHA-256 in base64url (RFC 7638). It names the key in slots and signatures. */
export function thumbprint(jwk: PublicJwk): string {
  // The members are in the order of their names, as RFC 7638 §3 wants them.
  const canonical =
    jwk.kty === 'RSA'
      ? { e: jwk.e, kty: jwk.kty, n: jwk.n }
      : jwk.kty === 'EC'
        ? { crv: jwk.crv, kty: jwk.kty, x: jwk.x, y: jwk.y }
        : { crv: jwk.crv, kty: jwk.kty, x: jwk.x };
  return createHash('sha256').update(JSON.stringify(canonical)).digest('base64url');
}

/**
 * Returns the public key of a key object of Node as a JWK.
 * @throws KeyProblem `unsupported` for a key of another kind or size
 */
export function publicJwkOf(key: KeyObject): PublicJwk {
  const type = key.asymmetricKeyType;
  if (type !== 'rsa' && type !== 'ec' && type !== 'x25519' && type !== 'ed25519')
    throw unsupportedKind(type ?? key.type);
  const curve = key.asymmetricKeyDetails?.namedCurve;
  if (type === 'ec' && (curve === undefined || !NIST_NAMES.has(curve))) {
    throw unsupportedCurve(curve === undefined ? 'without a named curve' : `of the curve ${curve}`);
  }
  const { kty, crv, x, y, n, e } = key.export({ format: 'jwk' });
  if (kty === 'RSA') checkRsaBits(rsaBits({ kty, n: n ?? '', e: e ?? '' }));
  const jwk = readPublicJwk(kty === 'RSA' ? { kty, n, e } : kty === 'EC' ? { kty, crv, x, y } : { kty, crv, x });
  if (jwk === undefined) throw new KeyProblem('unsupported', 'is a key whose numbers are out of range');
  return jwk;
}

/** @throws KeyProblem `unsupported` */
export function checkRsaBits(bits: number): void {
  if (bits >= RSA_BITS.min && bits <= RSA_BITS.max) return;
  const range = `RSA keys of ${RSA_BITS.min} to ${RSA_BITS.max} bits are used`;
  throw new KeyProblem('unsupported', `is an RSA key of ${bits} bits; ${range}`);
}

export function unsupportedKind(kind: string): KeyProblem {
  return new KeyProblem('unsupported', `is a key of the kind ${kind}; RSA, EC, X25519 and Ed25519 keys are used`);
}

/** @param which `of the curve secp256k1` */
export function unsupportedCurve(which: string): KeyProblem {
  return new KeyProblem('unsupported', `is an EC key ${which}; P-256, P-384 and P-521 are used`);
}

/** Tells whether signatures by `alg` are made with keys of this kind. */
export function fitsAlgorithm(jwk: PublicJwk, alg: SignatureAlgorithm): boolean {
  switch (alg) {
    case 'EdDSA':
      return jwk.kty === 'OKP' && jwk.crv === 'Ed25519';
    case 'ES256':
      return jwk.kty === 'EC' && jwk.crv === 'P-256';
    case 'ES384':
      return jwk.kty === 'EC' && jwk.crv === 'P-384';
    case 'PS256':
      return jwk.kty === 'RSA';
  }
}

/**
 * Verifies a signature in the form that JOSE has (RFC 7518 §3.4, §3.5, RFC 8037 §3.1). Returns false for a signature of
 * another key, algorithm or size, and for numbers that are no public key.
 */
export function verifySignature(
  jwk: PublicJwk,
  alg: SignatureAlgorithm,
  data: Uint8Array,
  signature: Uint8Array,
): boolean {
  if (!fitsAlgorithm(jwk, alg) || readPublicJwk(jwk) === undefined) return false;
  try {
    const key = createPublicKey({ key: { ...jwk }, format: 'jwk' });
    if (alg === 'EdDSA') return verify(null, data, key, signature);
    if (alg === 'PS256') {
      return verify('sha256', data, { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 }, signature);
    }
    return verify(alg === 'ES256' ? 'sha256' : 'sha384', data, { key, dsaEncoding: 'ieee-p1363' }, signature);
  } catch {
    return false;
  }
}

const P25519 = 2n ** 255n - 19n;

/**
 * Returns the X25519 key that an Ed25519 key is birationally equivalent to (RFC 7748 §4.1: u = (1 + y) / (1 - y)), or
 * undefined for a y that has none.
 */
export function x25519Of(jwk: OkpJwk): OkpJwk | undefined {
  const bytes = Buffer.from(jwk.x, 'base64url');
  if (bytes.length !== OKP_SIZE) return undefined;
  bytes[31] = (bytes[31] ?? 0) & 0x7f;
  const y = BigInt(`0x${Buffer.from(bytes).reverse().toString('hex')}`);
  if (y >= P25519 || y === 1n) return undefined;
  const u = ((1n + y) * power(P25519 + 1n - y, P25519 - 2n)) % P25519;
  const x = Buffer.from(u.toString(16).padStart(64, '0'), 'hex').reverse().toString('base64url');
  return { kty: 'OKP', crv: 'X25519', x };
}

function power(base: bigint, exponent: bigint): bigint {
  let [result, square] = [1n, base % P25519];
  for (let rest = exponent; rest > 0n; rest >>= 1n) {
    if ((rest & 1n) === 1n) result = (result * square) % P25519;
    square = (square * square) % P25519;
  }
  return result;
}
