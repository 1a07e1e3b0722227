import { Region } from '../base/linux/native.ts';
import { DerReader, TAG } from './der.ts';
import { KeyProblem } from './key-problem.ts';
import { keyLibrary } from './libcrypto-keys.ts';
import { isPem, type PemBlock, readPem, wipeBlocks } from './pem.ts';
import { keyFromPkcs12 } from './pkcs12.ts';
import type { PrivateKey } from './private-key.ts';
import {
  decryptionProblem,
  keyFromEncryptedPkcs8,
  keyFromPkcs1,
  keyFromPkcs8,
  keyFromSec1,
  passphraseNeeded,
} from './private-key-der.ts';
import { unsupportedKind } from './public-key.ts';
import { Secret } from './secret.ts';

/** Longer ones are cut by OpenSSL where a PEM file is encrypted in the traditional way. */
const MAX_PASSPHRASE = 1023;

/**
 * Makes a key of the contents of a file, PEM or DER: PKCS#8, encrypted or not, PKCS#1, SEC 1, each as PEM also
 * encrypted in the traditional way of OpenSSL, or PKCS#12. Of PEM the first private key counts.
 * @param contents off the heap; the caller wipes them
 * @throws KeyProblem also `passphrase-needed` and `wrong-passphrase`
 */
export function readPrivateKey(contents: Buffer, passphrase?: Secret): PrivateKey {
  return isPem(contents) ? keyFromPem(contents, passphrase) : keyFromDer(contents, passphrase);
}

function keyFromPem(text: Buffer, passphrase: Secret | undefined): PrivateKey {
  const blocks = readPem(text, (label) => label.endsWith('PRIVATE KEY'));
  try {
    const [block] = blocks;
    if (block === undefined) throw new KeyProblem('not-a-key', 'holds no private key');
    return keyFromBlock(block, passphrase);
  } finally {
    wipeBlocks(blocks);
  }
}

function keyFromBlock(block: PemBlock, passphrase: Secret | undefined): PrivateKey {
  const { label, contents } = block;
  switch (label) {
    case 'PRIVATE KEY':
      return keyFromPkcs8(contents);
    case 'ENCRYPTED PRIVATE KEY':
      return keyFromEncryptedPkcs8(contents, passphrase);
    case 'RSA PRIVATE KEY':
      return withPlainContents(block, passphrase, keyFromPkcs1);
    case 'EC PRIVATE KEY':
      return withPlainContents(block, passphrase, keyFromSec1);
    default:
      throw unsupportedKind(label);
  }
}

/** Decrypts a block in place if its headers say that it is encrypted (RFC 1421 §4.6.1.1, and OpenSSL's key of it). */
function withPlainContents(
  { headers, contents }: PemBlock,
  passphrase: Secret | undefined,
  read: (der: Uint8Array) => PrivateKey,
): PrivateKey {
  if (!headers.includes('ENCRYPTED')) return read(contents);
  if (passphrase === undefined) throw passphraseNeeded();
  const lib = keyLibrary();
  const [header, cipher] = [new Region(Buffer.from(`${headers}\n\0`, 'latin1')), new Region(32)];
  if (lib.pemCipherInfo(header.address, cipher.address) !== 1) {
    decryptionProblem();
    throw new KeyProblem('unsupported', 'is encrypted in a way that this OpenSSL does not support');
  }
  // OpenSSL takes a text of C, and would ask on the terminal without one.
  if (passphrase.length > MAX_PASSPHRASE || passphrase.bytes.includes(0)) {
    throw new KeyProblem('wrong-passphrase', 'does not open with the given passphrase');
  }
  const text = Secret.zeros(passphrase.length + 1);
  try {
    text.bytes.set(passphrase.bytes);
    const length = new Region(8);
    length.view.setBigInt64(0, BigInt(contents.length), true);
    const address = new Region(contents).address;
    const done = lib.pemDecrypt(cipher.address, address, length.address, 0, new Region(text.bytes).address);
    if (done !== 1) throw decryptionProblem();
    return readDecrypted(contents.subarray(0, Number(length.view.getBigInt64(0, true))), read);
  } finally {
    text.wipe();
  }
}

/** One in 256 wrong passphrases passes the check of the padding, and gives bytes that are no key. */
function readDecrypted(der: Uint8Array, read: (der: Uint8Array) => PrivateKey): PrivateKey {
  try {
    return read(der);
  } catch (error) {
    if (!(error instanceof KeyProblem) || error.reason !== 'not-a-key') throw error;
    throw new KeyProblem('wrong-passphrase', 'does not open with the given passphrase');
  }
}

function keyFromDer(der: Buffer, passphrase: Secret | undefined): PrivateKey {
  switch (formOf(der)) {
    case 'pkcs8':
      return keyFromPkcs8(der);
    case 'encrypted pkcs8':
      return keyFromEncryptedPkcs8(der, passphrase);
    case 'pkcs1':
      return keyFromPkcs1(der);
    case 'sec1':
      return keyFromSec1(der);
    case 'pkcs12':
      return keyFromPkcs12(der, passphrase);
    case undefined:
      throw new KeyProblem('not-a-key', 'holds no private key');
  }
}

type Form = 'pkcs8' | 'encrypted pkcs8' | 'pkcs1' | 'sec1' | 'pkcs12';

/** Tells the forms by the first two values in their SEQUENCE. */
function formOf(der: Buffer): Form | undefined {
  try {
    const values = new DerReader(new DerReader(der).take(TAG.sequence));
    if (values.takeIf(TAG.sequence) !== undefined) return 'encrypted pkcs8';
    const [version] = values.unsigned();
    if (version === 3) return 'pkcs12';
    if (values.takeIf(TAG.octets) !== undefined) return 'sec1';
    return values.takeIf(TAG.integer) !== undefined ? 'pkcs1' : 'pkcs8';
  } catch {
    return undefined;
  }
}
