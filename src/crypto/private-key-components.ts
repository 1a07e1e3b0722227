import { Region } from '../base/linux/native.ts';
import { keyFromParameters, SELECTION } from './key-parameters.ts';
import { KeyProblem } from './key-problem.ts';
import { keyLibrary, openSslFailure, takeOpenSslErrors } from './libcrypto-keys.ts';
import { CURVE_SIZES, checkRsaBits, type NistCurve, type OkpJwk, type PublicJwk, readPublicJwk } from './public-key.ts';

const NULL = 0;

/** Numbers of OpenSSL (openssl/obj_mac.h). */
const CURVE_NUMBERS: Readonly<Record<NistCurve, number>> = { 'P-256': 415, 'P-384': 715, 'P-521': 716 };
const OKP_NUMBERS = { X25519: 1034, Ed25519: 1087 } as const;
const UNCOMPRESSED = 4;

/**
 * The numbers of an RSA key, each as unsigned big-endian bytes without leading zeros. Without the last five, or with
 * zeros in place of them, the key works more slowly.
 */
export interface RsaComponents {
  readonly n: Uint8Array;
  readonly e: Uint8Array;
  readonly d: Uint8Array;
  readonly p?: Uint8Array;
  readonly q?: Uint8Array;
  readonly dp?: Uint8Array;
  readonly dq?: Uint8Array;
  readonly qi?: Uint8Array;
}

/** An EVP_PKEY, and its public part. The one who gets it frees it. */
export interface LoadedKey {
  readonly pointer: number;
  readonly publicJwk: PublicJwk;
}

/** @throws KeyProblem when the numbers are not an RSA key of a size that is used */
export function loadRsa(components: RsaComponents): LoadedKey {
  const { n, e, d, p, q, dp, dq, qi } = components;
  checkRsaBits(n.length === 0 ? 0 : n.length * 8 - (Math.clz32(n[0] ?? 0) - 24));
  const publicJwk = readPublicJwk({ kty: 'RSA', n: base64Url(n), e: base64Url(e) });
  const isSized = [d, p, q, dp, dq, qi].every((number) => number === undefined || number.length <= n.length);
  if (publicJwk === undefined || d.length === 0 || !isSized) throw notAKey('RSA');
  const factors = Object.entries({
    'rsa-factor1': p,
    'rsa-factor2': q,
    'rsa-exponent1': dp,
    'rsa-exponent2': dq,
    'rsa-coefficient1': qi,
  }).flatMap(([name, number]): [string, Uint8Array][] => (number && number.length > 0 ? [[name, number]] : []));
  if (factors.length !== 0 && factors.length !== 5) throw notAKey('RSA');
  const numbers = { n, e, d, ...Object.fromEntries(factors) };
  const pointer = keyFromParameters('RSA', SELECTION.keyPair, { numbers });
  if (pointer === undefined) throw notAKey('RSA');
  return { pointer, publicJwk };
}

/** @param scalar big-endian, of at most the size of the curve @throws KeyProblem when it is no key of the curve */
export function loadEc(curve: NistCurve, scalar: Uint8Array): LoadedKey {
  const point = publicPoint(curve, scalar);
  const size = CURVE_SIZES[curve];
  const publicJwk = {
    kty: 'EC',
    crv: curve,
    x: base64Url(point.subarray(1, 1 + size)),
    y: base64Url(point.subarray(1 + size)),
  } as const;
  const pointer = keyFromParameters('EC', SELECTION.keyPair, {
    text: { name: 'group', value: curve },
    octets: { name: 'pub', value: point },
    numbers: { priv: scalar },
  });
  if (pointer === undefined) throw notAKey('EC');
  return { pointer, publicJwk };
}

/** @param bytes 32 bytes: the key of X25519 (RFC 7748 §5), the seed of Ed25519 (RFC 8032 §5.1.5) */
export function loadOkp(crv: OkpJwk['crv'], bytes: Uint8Array): LoadedKey {
  if (bytes.length !== 32) throw notAKey(crv);
  const lib = keyLibrary();
  const pointer = lib.pkeyFromRawPrivate(OKP_NUMBERS[crv], NULL, new Region(bytes).address, bytes.length);
  if (pointer === NULL) throw openSslFailure('EVP_PKEY_new_raw_private_key');
  const [raw, length] = [new Region(32), new Region(8)];
  length.view.setBigUint64(0, 32n, true);
  if (lib.pkeyRawPublic(pointer, raw.address, length.address) !== 1) {
    lib.pkeyFree(pointer);
    throw openSslFailure('EVP_PKEY_get_raw_public_key');
  }
  return { pointer, publicJwk: { kty: 'OKP', crv, x: base64Url(raw.bytes) } };
}

/** Returns an EVP_PKEY of a public key; undefined for a point that is not on its curve. The caller frees it. */
export function loadPublic(jwk: PublicJwk): number | undefined {
  if (jwk.kty === 'RSA' || readPublicJwk(jwk) === undefined) return undefined;
  const x = Buffer.from(jwk.x, 'base64url');
  if (jwk.kty === 'OKP') {
    const pointer = keyLibrary().pkeyFromRawPublic(OKP_NUMBERS[jwk.crv], NULL, new Region(x).address, x.length);
    if (pointer === NULL) takeOpenSslErrors();
    return pointer === NULL ? undefined : pointer;
  }
  const point = Buffer.concat([Buffer.of(UNCOMPRESSED), x, Buffer.from(jwk.y, 'base64url')]);
  return keyFromParameters('EC', SELECTION.publicKey, {
    text: { name: 'group', value: jwk.crv },
    octets: { name: 'pub', value: point },
    numbers: {},
  });
}

/** Multiplies the base point of a curve by a scalar, which must be from 1 to the order less 1. */
function publicPoint(curve: NistCurve, scalar: Uint8Array): Buffer {
  const lib = keyLibrary();
  if (scalar.length === 0 || scalar.length > CURVE_SIZES[curve]) throw notAKey('EC');
  const point = new Region(1 + 2 * CURVE_SIZES[curve]);
  const group = lib.curveGroup(CURVE_NUMBERS[curve]);
  const product = lib.pointNew(group);
  const secure = lib.numberSecureNew();
  try {
    const number = lib.numberFromBytes(new Region(scalar).address, scalar.length, secure);
    if (group === NULL || product === NULL || number === NULL) throw openSslFailure('EC_POINT_new');
    if (lib.numberIsZero(number) === 1 || lib.numberCompare(number, lib.groupOrder(group)) >= 0) throw notAKey('EC');
    const isDone =
      lib.pointMultiply(group, product, number, NULL, NULL, NULL) === 1 &&
      lib.pointBytes(group, product, UNCOMPRESSED, point.address, point.length, NULL) === point.length;
    if (!isDone) throw openSslFailure('EC_POINT_mul');
    return point.bytes;
  } finally {
    lib.numberFree(secure);
    lib.pointFree(product);
    lib.groupFree(group);
  }
}

function notAKey(kind: string): KeyProblem {
  return new KeyProblem('not-a-key', `holds no valid ${kind} key`);
}

function base64Url(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64url');
}
