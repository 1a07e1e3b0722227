import { MalformedError } from '../base/bytes.ts';
import { memoryAt, Region } from '../base/linux/native.ts';
import { DerReader, TAG } from './der.ts';
import { KeyProblem } from './key-problem.ts';
import { keyLibrary, takeOpenSslErrors } from './libcrypto-keys.ts';
import { PrivateKey } from './private-key.ts';
import { type NistCurve, unsupportedCurve, unsupportedKind } from './public-key.ts';
import type { Secret } from './secret.ts';

const NULL = 0;

/** Numbers of OpenSSL (openssl/obj_mac.h). */
const KINDS: ReadonlyMap<number, 'RSA' | 'EC' | 'X25519' | 'Ed25519'> = new Map([
  [6, 'RSA'],
  [408, 'EC'],
  [1034, 'X25519'],
  [1087, 'Ed25519'],
]);
const CURVES: ReadonlyMap<number, NistCurve> = new Map([
  [415, 'P-256'],
  [715, 'P-384'],
  [716, 'P-521'],
]);
/** Contents of the object identifiers of the curves (RFC 5480 §2.1.1.1), in hexadecimal. */
const CURVE_IDENTIFIERS: ReadonlyMap<string, NistCurve> = new Map([
  ['2a8648ce3d030107', 'P-256'],
  ['2b81040022', 'P-384'],
  ['2b81040023', 'P-521'],
]);

/** Makes a key of an RSAPrivateKey (PKCS#1, RFC 8017 §A.1.2). The caller wipes the bytes. @throws KeyProblem */
export function keyFromPkcs1(der: Uint8Array): PrivateKey {
  return readKey(() => {
    const outer = new DerReader(der);
    const numbers = new DerReader(outer.take(TAG.sequence));
    outer.end();
    if (numbers.unsigned().length !== 0) throw new KeyProblem('unsupported', 'is an RSA key of more than two primes');
    const take = (): Uint8Array => numbers.unsigned();
    const components = { n: take(), e: take(), d: take(), p: take(), q: take(), dp: take(), dq: take(), qi: take() };
    numbers.end();
    return PrivateKey.rsa(components);
  });
}

/**
 * Makes a key of an ECPrivateKey (SEC 1, RFC 5915 §3). The caller wipes the bytes.
 * @param curve where the key does not name it itself @throws KeyProblem
 */
export function keyFromSec1(der: Uint8Array, curve?: NistCurve): PrivateKey {
  return readKey(() => {
    const outer = new DerReader(der);
    const parts = new DerReader(outer.take(TAG.sequence));
    outer.end();
    if (parts.unsigned()[0] !== 1) throw new MalformedError('another version of ECPrivateKey');
    const scalar = parts.take(TAG.octets);
    const named = parts.takeIf(TAG.context0);
    parts.takeIf(TAG.context1);
    parts.end();
    return PrivateKey.ec(curve ?? namedCurve(named), scalar);
  });
}

function namedCurve(parameters: Uint8Array | undefined): NistCurve {
  const identifier = parameters && new DerReader(parameters).takeIf(TAG.object);
  if (identifier === undefined) throw unsupportedCurve('without a named curve');
  const curve = CURVE_IDENTIFIERS.get(Buffer.from(identifier).toString('hex'));
  if (curve === undefined) throw unsupportedCurve('of another curve');
  return curve;
}

/** Makes a key of a PrivateKeyInfo (PKCS#8, RFC 5208 §5). The caller wipes the bytes. @throws KeyProblem */
export function keyFromPkcs8(der: Uint8Array): PrivateKey {
  const lib = keyLibrary();
  const info = decoded(der, lib.pkcs8Read, lib.pkcs8Free);
  if (info === NULL) throw new KeyProblem('not-a-key', 'holds a damaged private key');
  try {
    return keyFromPkcs8Info(info);
  } finally {
    lib.pkcs8Free(info);
  }
}

/**
 * Makes a key of an EncryptedPrivateKeyInfo (PKCS#8, RFC 5208 §6). The caller wipes the bytes.
 * @throws KeyProblem also `passphrase-needed` and `wrong-passphrase`
 */
export function keyFromEncryptedPkcs8(der: Uint8Array, passphrase: Secret | undefined): PrivateKey {
  const lib = keyLibrary();
  const encrypted = decoded(der, lib.pkcs8EncryptedRead, lib.pkcs8EncryptedFree);
  if (encrypted === NULL) throw new KeyProblem('not-a-key', 'holds a damaged private key');
  try {
    if (passphrase === undefined) throw passphraseNeeded();
    const { bytes } = passphrase;
    const info = lib.pkcs8Decrypt(encrypted, new Region(bytes).address, bytes.length);
    if (info === NULL) throw decryptionProblem();
    try {
      return keyFromPkcs8Info(info);
    } finally {
      lib.pkcs8Free(info);
    }
  } finally {
    lib.pkcs8EncryptedFree(encrypted);
  }
}

/** Makes a key of a PKCS8_PRIV_KEY_INFO of OpenSSL, which the caller frees. @throws KeyProblem */
export function keyFromPkcs8Info(info: number): PrivateKey {
  const lib = keyLibrary();
  const parts = new Region(32);
  if (lib.pkcs8Parts(parts.address, parts.address + 8, parts.address + 16, parts.address + 24, info) !== 1) {
    takeOpenSslErrors();
    throw new KeyProblem('not-a-key', 'holds a damaged private key');
  }
  const [object, start, algorithm] = [pointerAt(parts, 0), pointerAt(parts, 8), pointerAt(parts, 24)];
  const length = parts.view.getInt32(16, true);
  if (length <= 0) throw new KeyProblem('not-a-key', 'holds an empty private key');
  const inner = memoryAt(start, length);
  const kind = KINDS.get(lib.objectNumber(object));
  switch (kind) {
    case 'RSA':
      return keyFromPkcs1(inner);
    case 'EC':
      return keyFromSec1(inner, curveOf(algorithm));
    case 'X25519':
    case 'Ed25519':
      return readKey(() => {
        const outer = new DerReader(inner);
        const bytes = outer.take(TAG.octets);
        outer.end();
        return kind === 'X25519' ? PrivateKey.x25519(bytes) : PrivateKey.ed25519(bytes);
      });
    case undefined:
      throw unsupportedKind(objectName(object));
  }
}

/** Returns the curve that an AlgorithmIdentifier names. @throws KeyProblem `unsupported` */
function curveOf(algorithm: number): NistCurve {
  const lib = keyLibrary();
  const parts = new Region(24);
  lib.algorithmParts(parts.address, parts.address + 8, parts.address + 16, algorithm);
  if (parts.view.getInt32(8, true) !== TAG.object) throw unsupportedCurve('without a named curve');
  const object = pointerAt(parts, 16);
  const curve = CURVES.get(lib.objectNumber(object));
  if (curve === undefined) throw unsupportedCurve(`of the curve ${objectName(object)}`);
  return curve;
}

function objectName(object: number): string {
  const text = new Region(64);
  keyLibrary().objectText(text.address, text.length, object, 0);
  takeOpenSslErrors();
  return text.bytes.toString('latin1', 0, text.bytes.indexOf(0));
}

function pointerAt(region: Region, offset: number): number {
  return Number(region.view.getBigUint64(offset, true));
}

type Read = (into: number, from: number, length: number) => number;

/** Decodes DER by a d2i function of OpenSSL. Returns 0 unless it is all of the bytes. */
export function decoded(der: Uint8Array, read: Read, free: (value: number) => unknown): number {
  const [cursor, source] = [new Region(8), new Region(der)];
  cursor.view.setBigUint64(0, BigInt(source.address), true);
  const value = der.length === 0 ? NULL : read(NULL, cursor.address, der.length);
  takeOpenSslErrors();
  if (value === NULL || pointerAt(cursor, 0) === source.address + der.length) return value;
  free(value);
  return NULL;
}

export function passphraseNeeded(): KeyProblem {
  return new KeyProblem('passphrase-needed', 'is protected by a passphrase, and none was given');
}

/** Returns what the errors in OpenSSL's queue say of a decryption that failed. */
export function decryptionProblem(): KeyProblem {
  const isUnsupported = takeOpenSslErrors().some((text) => /unsupported|unknown (cipher|pbe)/i.test(text));
  return isUnsupported
    ? new KeyProblem('unsupported', 'is encrypted in a way that this OpenSSL does not support')
    : new KeyProblem('wrong-passphrase', 'does not open with the given passphrase');
}

function readKey(read: () => PrivateKey): PrivateKey {
  try {
    return read();
  } catch (error) {
    if (error instanceof MalformedError) throw new KeyProblem('not-a-key', 'holds a damaged private key');
    throw error;
  }
}
