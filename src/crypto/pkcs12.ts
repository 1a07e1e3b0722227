import { Region } from '../base/linux/native.ts';
import { KeyProblem } from './key-problem.ts';
import { keyLibrary, takeOpenSslErrors } from './libcrypto-keys.ts';
import type { PrivateKey } from './private-key.ts';
import { decoded, decryptionProblem, keyFromPkcs8Info, passphraseNeeded } from './private-key-der.ts';
import type { Secret } from './secret.ts';

const NULL = 0;

/** Numbers of OpenSSL (openssl/obj_mac.h): keyBag, pkcs8ShroudedKeyBag, safeContentsBag. */
const BAG = { key: 150, encryptedKey: 151, safes: 155 } as const;
const MAX_DEPTH = 4;

interface Passphrase {
  readonly address: number;
  readonly length: number;
  /** Whether someone gave it. */
  readonly given: boolean;
}

/**
 * Makes a key of the first private key in a PKCS#12 file (RFC 7292). Certificates in it are not looked at, so one whose
 * certificates are encrypted in an old way opens nevertheless. The caller wipes the bytes.
 * @param passphrase undefined stands for none, and for an empty one
 * @throws KeyProblem
 */
export function keyFromPkcs12(der: Uint8Array, passphrase: Secret | undefined): PrivateKey {
  const lib = keyLibrary();
  const file = decoded(der, lib.pkcs12Read, lib.pkcs12Free);
  if (file === NULL) throw new KeyProblem('not-a-key', 'holds a damaged PKCS#12 file');
  try {
    const key = keyInFile(file, checkedPassphrase(file, passphrase));
    if (key === undefined) throw new KeyProblem('not-a-key', 'holds no private key that is used');
    return key;
  } finally {
    takeOpenSslErrors();
    lib.pkcs12Free(file);
  }
}

/** Returns the passphrase in the form that the file was made with: none and an empty one differ (RFC 7292 §B.1). */
function checkedPassphrase(file: number, passphrase: Secret | undefined): Passphrase {
  const lib = keyLibrary();
  const given = passphrase && { address: new Region(passphrase.bytes).address, length: passphrase.length, given: true };
  const none = { address: NULL, length: 0, given: false };
  if (lib.pkcs12HasMac(file) !== 1) return given ?? none;
  const tried = given === undefined ? [none, { ...none, address: emptyText.address }] : [given];
  const found = tried.find(({ address, length }) => lib.pkcs12VerifyMac(file, address, length) === 1);
  if (found === undefined) throw wrongPassphrase(passphrase !== undefined);
  return found;
}

function wrongPassphrase(isGiven: boolean): KeyProblem {
  const problem = decryptionProblem();
  return problem.reason === 'wrong-passphrase' && !isGiven ? passphraseNeeded() : problem;
}

const emptyText = new Region(1);

function keyInFile(file: number, passphrase: Passphrase): PrivateKey | undefined {
  const lib = keyLibrary();
  const safes = lib.pkcs12Safes(file);
  if (safes === NULL) throw new KeyProblem('not-a-key', 'holds a damaged PKCS#12 file');
  try {
    for (let i = 0; i < lib.stackSize(safes); i++) {
      const safe = lib.stackValue(safes, i);
      // Each returns NULL for a safe that is of the other form.
      let bags = lib.pkcs12Bags(safe);
      if (bags === NULL) bags = lib.pkcs12EncryptedBags(safe, passphrase.address, passphrase.length);
      takeOpenSslErrors();
      if (bags === NULL) continue;
      try {
        const key = keyInBags(bags, passphrase, MAX_DEPTH);
        if (key !== undefined) return key;
      } finally {
        freeAll(bags, lib.bagFree);
      }
    }
    return undefined;
  } finally {
    freeAll(safes, lib.pkcs7Free);
  }
}

function keyInBags(bags: number, passphrase: Passphrase, depth: number): PrivateKey | undefined {
  const lib = keyLibrary();
  for (let i = 0; i < lib.stackSize(bags); i++) {
    const bag = lib.stackValue(bags, i);
    const kind = lib.bagKind(bag);
    if (kind === BAG.key) return keyFromPkcs8Info(lib.bagKey(bag));
    if (kind === BAG.encryptedKey) return keyInEncryptedBag(bag, passphrase);
    if (kind === BAG.safes && depth > 0) {
      const key = keyInBags(lib.bagSafes(bag), passphrase, depth - 1);
      if (key !== undefined) return key;
    }
  }
  return undefined;
}

function keyInEncryptedBag(bag: number, passphrase: Passphrase): PrivateKey {
  const lib = keyLibrary();
  const info = lib.bagDecryptKey(bag, passphrase.address, passphrase.length);
  if (info === NULL) throw wrongPassphrase(passphrase.given);
  try {
    return keyFromPkcs8Info(info);
  } finally {
    lib.pkcs8Free(info);
  }
}

function freeAll(stack: number, free: (item: number) => unknown): void {
  const lib = keyLibrary();
  for (let item = lib.stackPop(stack); item !== NULL; item = lib.stackPop(stack)) free(item);
  lib.stackFree(stack);
}
