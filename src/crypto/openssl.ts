import { CkptfsError } from '../base/errors.ts';
import { Region } from '../base/linux/native.ts';
import { addressIn, checkSpan } from '../base/linux/span.ts';
import { wipe } from '../base/wipe.ts';
import { NONCE_SIZE } from '../format/record.ts';
import {
  checkDataUnit,
  checkHkdfLength,
  checkKeyUnwrap,
  checkKeyWrap,
  checkLength,
  checkPbkdf2,
  checkXtsKey,
  disposedKey,
  notBegun,
} from './checks.ts';
import { hkdfSha256 } from './hkdf.ts';
import { type LibCrypto, loadLibCrypto } from './libcrypto.ts';
import { pbkdf2 } from './pbkdf2.ts';
import {
  type AeadKey,
  type GmacKey,
  type NonceSize,
  type Primitives,
  TAG_SIZE,
  type TagSize,
  type XtsKey,
} from './primitives.ts';

const NULL = 0;

/** The `enc` argument of EVP_CipherInit_ex. */
const DIRECTION = { open: 0, seal: 1, keep: -1 } as const;
/** openssl/evp.h: EVP_CTRL_AEAD_SET_IVLEN, EVP_CTRL_AEAD_GET_TAG, EVP_CTRL_AEAD_SET_TAG. */
const CONTROL = { setNonceSize: 0x09, getTag: 0x10, setTag: 0x11 } as const;

/**
 * Makes primitives over the OpenSSL of this Node process. Nothing is allocated for a message: each key is an EVP
 * context, of which only the initialisation vector changes.
 * @throws Error when this process has no OpenSSL 3
 */
export function createOpenSslPrimitives(): Primitives {
  const lib = loadLibCrypto();
  const aes128Xts = fetchCipher(lib, 'AES-128-XTS');
  const aes256Xts = fetchCipher(lib, 'AES-256-XTS');
  const aes256Gcm = fetchCipher(lib, 'AES-256-GCM');
  let chacha20Poly1305: number | undefined;
  const sha256 = fetched('SHA2-256', lib.digestFetch(NULL, 'SHA2-256', NULL));

  /** An address for empty input, because HMAC() does not accept NULL. */
  const nothing = new Region(1);
  const someAddress = (memory: Uint8Array): number => (memory.length === 0 ? nothing : new Region(memory)).address;

  const hmacSha256: Primitives['hmacSha256'] = (key, data, out) => {
    checkLength('HMAC output', out, 32);
    const written = lib.hmac(
      sha256,
      someAddress(key),
      key.length,
      someAddress(data),
      data.length,
      new Region(out).address,
      NULL,
    );
    if (written === NULL) throw failure(lib, 'HMAC');
  };

  const isEqual: Primitives['isEqual'] = (a, b) => {
    checkLength('what is compared', b, a.length);
    return lib.compare(someAddress(a), someAddress(b), a.length) === 0;
  };

  return {
    name: 'openssl',
    xts: (key) => {
      checkXtsKey(key, isEqual);
      return new OpenSslXts(lib, key.length === 32 ? aes128Xts : aes256Xts, key);
    },
    gmac: (key, tagSize = TAG_SIZE, nonceSize = NONCE_SIZE) => {
      checkLength('GMAC key', key, 32);
      return new OpenSslGmac(lib, aes256Gcm, key, tagSize, nonceSize);
    },
    aes256Gcm: (key, tagSize = TAG_SIZE, nonceSize = NONCE_SIZE) => {
      checkLength('AES-256-GCM key', key, 32);
      return new OpenSslAead(lib, aes256Gcm, key, tagSize, nonceSize);
    },
    chacha20Poly1305: (key, tagSize = TAG_SIZE) => {
      checkLength('ChaCha20-Poly1305 key', key, 32);
      // A provider of FIPS does not have it.
      chacha20Poly1305 ??= fetchCipher(lib, 'ChaCha20-Poly1305');
      return new OpenSslAead(lib, chacha20Poly1305, key, tagSize, NONCE_SIZE);
    },
    aesKeyUnwrap: (key, wrapped, out) => {
      checkKeyUnwrap(key, wrapped, out);
      // A process unwraps one key, so this is fetched for each.
      const context = new CipherContext(lib, fetchCipher(lib, `AES-${key.length * 8}-WRAP`), key, DIRECTION.open);
      try {
        context.restart(NULL, DIRECTION.keep);
        const isUnwrapped = context.tryUpdate(new Region(out).address, new Region(wrapped).address, wrapped.length);
        if (!isUnwrapped) wipe(out);
        return isUnwrapped;
      } finally {
        context.dispose();
      }
    },
    aesKeyWrap: (key, plain, out) => {
      checkKeyWrap(key, plain, out);
      const context = new CipherContext(lib, fetchCipher(lib, `AES-${key.length * 8}-WRAP`), key, DIRECTION.seal);
      try {
        context.restart(NULL, DIRECTION.keep);
        context.update(new Region(out).address, new Region(plain).address, plain.length);
      } finally {
        context.dispose();
      }
    },
    pbkdf2Sha512: async (password, salt, iterations, out) => {
      checkPbkdf2(iterations, out.length);
      const digest = fetched('SHA2-512', lib.digestFetch(NULL, 'SHA2-512', NULL));
      if (!(await pbkdf2(digest, password, salt, iterations, out))) throw failure(lib, 'PKCS5_PBKDF2_HMAC');
    },
    isEqual,
    hmacSha256,
    hkdfSha256: (key, salt, info, out) => {
      checkHkdfLength(out.length);
      hkdfSha256(hmacSha256, key, salt, info, out);
    },
    sha256: (from, offset, length, out, outOffset) => {
      const source = addressIn(from, offset, length);
      const target = addressIn(out, outOffset, 32);
      if (lib.digest(source, length, target, NULL, sha256, NULL) !== 1) throw failure(lib, 'EVP_Digest');
    },
  };
}

/** Holds one EVP_CIPHER_CTX with its key set. OpenSSL wipes the key when the context is freed. */
class CipherContext {
  readonly #lib: LibCrypto;
  /** Receives the number of bytes that OpenSSL wrote. */
  readonly #outLength = new Region(8);
  #context: number;
  /** Whether a message was begun. Without this check OpenSSL would choose an initialisation vector itself. */
  #begun = false;

  constructor(lib: LibCrypto, cipher: number, key: Uint8Array, initial: number) {
    this.#lib = lib;
    this.#context = lib.contextNew();
    if (this.#context === NULL) throw failure(lib, 'EVP_CIPHER_CTX_new');
    if (lib.cipherInit(this.#context, cipher, NULL, new Region(key).address, NULL, initial) !== 1) {
      this.dispose();
      throw failure(lib, 'EVP_CipherInit_ex');
    }
  }

  /** Begins a new message under the same key. */
  restart(iv: number, toward: number): void {
    if (this.#lib.cipherInit(this.#live(), NULL, NULL, NULL, iv, toward) !== 1) {
      throw failure(this.#lib, 'EVP_CipherInit_ex');
    }
    this.#begun = true;
  }

  /** Processes data; `out` is NULL for additional data. */
  update(out: number, data: number, length: number): void {
    if (!this.tryUpdate(out, data, length)) throw failure(this.#lib, 'EVP_CipherUpdate');
  }

  /** Like {@link update}, for a cipher that finds out by itself that the data is not authentic: false says so. */
  tryUpdate(out: number, data: number, length: number): boolean {
    if (this.#lib.cipherUpdate(this.#message(), out, this.#outLength.address, data, length) === 1) return true;
    this.#lib.clearErrors();
    return false;
  }

  /** Ends the message. When opening, false means that the tag set before is wrong. */
  final(): boolean {
    // The last call of an AEAD writes no bytes, but needs pointers that are not NULL.
    const context = this.#message();
    this.#begun = false;
    return this.#lib.cipherFinal(context, this.#outLength.address, this.#outLength.address) === 1;
  }

  control(command: number, argument: number, pointer: number): void {
    if (this.#lib.contextControl(this.#live(), command, argument, pointer) !== 1) {
      throw failure(this.#lib, 'EVP_CIPHER_CTX_ctrl');
    }
  }

  finalTag(tag: number, size: TagSize): void {
    if (!this.final()) throw failure(this.#lib, 'EVP_CipherFinal_ex');
    this.control(CONTROL.getTag, size, tag);
  }

  dispose(): void {
    if (this.#context !== NULL) this.#lib.contextFree(this.#context);
    this.#context = NULL;
  }

  #message(): number {
    const context = this.#live();
    if (!this.#begun) throw notBegun();
    return context;
  }

  #live(): number {
    if (this.#context === NULL) throw disposedKey();
    return this.#context;
  }
}

class OpenSslXts implements XtsKey {
  // The key schedules of the two directions differ, so each has a context.
  readonly #sealing: CipherContext;
  readonly #opening: CipherContext;

  constructor(lib: LibCrypto, cipher: number, key: Uint8Array) {
    this.#sealing = new CipherContext(lib, cipher, key, DIRECTION.seal);
    this.#opening = new CipherContext(lib, cipher, key, DIRECTION.open);
  }

  encrypt(
    tweak: Region,
    tweakOffset: number,
    from: Region,
    fromOffset: number,
    to: Region,
    toOffset: number,
    length: number,
  ): void {
    checkDataUnit(length);
    this.#sealing.restart(addressIn(tweak, tweakOffset, 16), DIRECTION.keep);
    this.#sealing.update(addressIn(to, toOffset, length), addressIn(from, fromOffset, length), length);
  }

  decrypt(
    tweak: Region,
    tweakOffset: number,
    from: Region,
    fromOffset: number,
    to: Region,
    toOffset: number,
    length: number,
  ): void {
    checkDataUnit(length);
    this.#opening.restart(addressIn(tweak, tweakOffset, 16), DIRECTION.keep);
    this.#opening.update(addressIn(to, toOffset, length), addressIn(from, fromOffset, length), length);
  }

  dispose(): void {
    this.#sealing.dispose();
    this.#opening.dispose();
  }
}

/** Makes a context for messages under nonces of one size, which it keeps. */
function messageContext(lib: LibCrypto, cipher: number, key: Uint8Array, nonceSize: NonceSize): CipherContext {
  const context = new CipherContext(lib, cipher, key, DIRECTION.seal);
  if (nonceSize !== NONCE_SIZE) context.control(CONTROL.setNonceSize, nonceSize, NULL);
  return context;
}

class OpenSslGmac implements GmacKey {
  readonly #context: CipherContext;
  readonly #nonceSize: NonceSize;
  readonly #computed = new Region(TAG_SIZE);
  readonly #tagSize: TagSize;

  constructor(lib: LibCrypto, cipher: number, key: Uint8Array, tagSize: TagSize, nonceSize: NonceSize) {
    this.#tagSize = tagSize;
    this.#nonceSize = nonceSize;
    this.#context = messageContext(lib, cipher, key, nonceSize);
  }

  begin(nonce: Region, nonceOffset: number): void {
    this.#context.restart(addressIn(nonce, nonceOffset, this.#nonceSize), DIRECTION.keep);
  }

  update(data: Region, offset: number, length: number): void {
    this.#context.update(NULL, addressIn(data, offset, length), length);
  }

  finish(tag: Region, tagOffset: number): void {
    this.#context.finalTag(addressIn(tag, tagOffset, this.#tagSize), this.#tagSize);
  }

  verify(tag: Region, tagOffset: number): boolean {
    checkSpan(tag, tagOffset, this.#tagSize);
    this.#context.finalTag(this.#computed.address, this.#tagSize);
    // Compares in constant time, without branch or early end. This costs less than a call of CRYPTO_memcmp.
    let difference = 0;
    for (let i = 0; i < this.#tagSize; i += 4) {
      difference |= this.#computed.view.getUint32(i, true) ^ tag.view.getUint32(tagOffset + i, true);
    }
    return difference === 0;
  }

  dispose(): void {
    this.#context.dispose();
  }
}

class OpenSslAead implements AeadKey {
  readonly #lib: LibCrypto;
  readonly #context: CipherContext;
  readonly #nonceSize: NonceSize;
  readonly #tagSize: TagSize;

  constructor(lib: LibCrypto, cipher: number, key: Uint8Array, tagSize: TagSize, nonceSize: NonceSize) {
    this.#tagSize = tagSize;
    this.#nonceSize = nonceSize;
    this.#lib = lib;
    this.#context = messageContext(lib, cipher, key, nonceSize);
  }

  beginSeal(nonce: Region, nonceOffset: number): void {
    this.#context.restart(addressIn(nonce, nonceOffset, this.#nonceSize), DIRECTION.seal);
  }

  beginOpen(nonce: Region, nonceOffset: number): void {
    this.#context.restart(addressIn(nonce, nonceOffset, this.#nonceSize), DIRECTION.open);
  }

  additional(data: Region, offset: number, length: number): void {
    this.#context.update(NULL, addressIn(data, offset, length), length);
  }

  crypt(from: Region, fromOffset: number, to: Region, toOffset: number, length: number): void {
    this.#context.update(addressIn(to, toOffset, length), addressIn(from, fromOffset, length), length);
  }

  finish(tag: Region, tagOffset: number): void {
    this.#context.finalTag(addressIn(tag, tagOffset, this.#tagSize), this.#tagSize);
  }

  verify(tag: Region, tagOffset: number): boolean {
    this.#context.control(CONTROL.setTag, this.#tagSize, addressIn(tag, tagOffset, this.#tagSize));
    const authentic = this.#context.final();
    // The errors that OpenSSL queued about the wrong tag would otherwise show in Node's next error.
    if (!authentic) this.#lib.clearErrors();
    return authentic;
  }

  dispose(): void {
    this.#context.dispose();
  }
}

function fetchCipher(lib: LibCrypto, name: string): number {
  return fetched(name, lib.cipherFetch(NULL, name, NULL));
}

function fetched(name: string, algorithm: number): number {
  if (algorithm === NULL)
    throw new CkptfsError('missing-feature', `this OpenSSL has no ${name}`, { data: { feature: 'openssl' } });
  return algorithm;
}

function failure(lib: LibCrypto, name: string): CkptfsError {
  lib.clearErrors();
  return new CkptfsError('internal', `OpenSSL: ${name} failed`);
}
