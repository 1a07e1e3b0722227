import type { CipherGCM, DecipherGCM } from 'node:crypto';
import type { Region } from '../base/linux/native.ts';
import { checkSpan } from '../base/linux/span.ts';
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
  notBegun,
} from './checks.ts';
import {
  type AeadKey,
  type GmacKey,
  type NonceSize,
  type Primitives,
  TAG_SIZE,
  type TagSize,
  type XtsKey,
} from './primitives.ts';
import { Secret } from './secret.ts';

/** Loads node:crypto when it is used: it takes longer to load than OpenSSL's own functions take to be found. */
const crypto = () => process.getBuiltinModule('node:crypto');

/** RFC 3394 §2.2.3.1 */
const KEY_WRAP_IV = Buffer.alloc(8, 0xa6);

/**
 * Makes primitives over plain node:crypto, for a Node whose OpenSSL cannot be called directly. They do what those of
 * `openssl.ts` do, several times slower: Node makes an object for each message. What it allocated for plaintext is
 * wiped.
 */
export function createNodePrimitives(): Primitives {
  return {
    name: 'node',
    xts: (key) => {
      checkXtsKey(key, crypto().timingSafeEqual);
      return new NodeXts(key);
    },
    gmac: (key, tagSize = TAG_SIZE, nonceSize = NONCE_SIZE) => {
      checkLength('GMAC key', key, 32);
      return new NodeGmac(key, tagSize, nonceSize);
    },
    aes256Gcm: (key, tagSize = TAG_SIZE, nonceSize = NONCE_SIZE) => {
      checkLength('AES-256-GCM key', key, 32);
      return new NodeAead('aes-256-gcm', key, tagSize, nonceSize);
    },
    chacha20Poly1305: (key, tagSize = TAG_SIZE) => {
      checkLength('ChaCha20-Poly1305 key', key, 32);
      // Node's type declarations have the methods of an AEAD for the AES modes only.
      return new NodeAead('chacha20-poly1305' as 'aes-256-gcm', key, tagSize, NONCE_SIZE);
    },
    aesKeyUnwrap: (key, wrapped, out) => {
      checkKeyUnwrap(key, wrapped, out);
      try {
        move(
          crypto()
            .createDecipheriv(`id-aes${key.length * 8}-wrap`, key, KEY_WRAP_IV)
            .update(wrapped),
          out,
          0,
        );
        return true;
      } catch {
        wipe(out);
        return false;
      }
    },
    aesKeyWrap: (key, plain, out) => {
      checkKeyWrap(key, plain, out);
      move(
        crypto()
          .createCipheriv(`id-aes${key.length * 8}-wrap`, key, KEY_WRAP_IV)
          .update(plain),
        out,
        0,
      );
    },
    pbkdf2Sha512: (password, salt, iterations, out) => {
      checkPbkdf2(iterations, out.length);
      return new Promise((resolve, reject) => {
        crypto().pbkdf2(password, salt, iterations, out.length, 'sha512', (error, derived) => {
          if (error !== null) return reject(error);
          move(derived, out, 0);
          resolve();
        });
      });
    },
    isEqual: (a, b) => {
      checkLength('what is compared', b, a.length);
      return crypto().timingSafeEqual(a, b);
    },
    hkdfSha256: (key, salt, info, out) => {
      checkHkdfLength(out.length);
      if (out.length === 0) return;
      move(new Uint8Array(crypto().hkdfSync('sha256', key, salt, info, out.length)), out, 0);
    },
    hmacSha256: (key, data, out) => {
      checkLength('HMAC output', out, 32);
      move(crypto().createHmac('sha256', key).update(data).digest(), out, 0);
    },
    sha256: (from, offset, length, out, outOffset) => {
      checkSpan(out, outOffset, 32);
      out.bytes.set(
        crypto()
          .createHash('sha256')
          .update(part(from, offset, length))
          .digest(),
        outOffset,
      );
    },
  };
}

class NodeXts implements XtsKey {
  readonly #key: Secret;
  readonly #cipher: string;

  constructor(key: Uint8Array) {
    this.#key = Secret.copy(key);
    this.#cipher = key.length === 32 ? 'aes-128-xts' : 'aes-256-xts';
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
    checkSpan(to, toOffset, length);
    const cipher = crypto().createCipheriv(this.#cipher, this.#key.bytes, part(tweak, tweakOffset, 16));
    move(cipher.update(part(from, fromOffset, length)), to.bytes, toOffset);
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
    checkSpan(to, toOffset, length);
    const cipher = crypto().createDecipheriv(this.#cipher, this.#key.bytes, part(tweak, tweakOffset, 16));
    move(cipher.update(part(from, fromOffset, length)), to.bytes, toOffset);
  }

  dispose(): void {
    this.#key.wipe();
  }
}

class NodeGmac implements GmacKey {
  readonly #key: Secret;
  readonly #authTagLength: TagSize;
  readonly #nonceSize: NonceSize;
  #message: CipherGCM | undefined;

  constructor(key: Uint8Array, tagSize: TagSize, nonceSize: NonceSize) {
    this.#authTagLength = tagSize;
    this.#nonceSize = nonceSize;
    this.#key = Secret.copy(key);
  }

  begin(nonce: Region, nonceOffset: number): void {
    this.#message = crypto().createCipheriv('aes-256-gcm', this.#key.bytes, part(nonce, nonceOffset, this.#nonceSize), {
      authTagLength: this.#authTagLength,
    });
  }

  update(data: Region, offset: number, length: number): void {
    this.#begun().setAAD(part(data, offset, length));
  }

  finish(tag: Region, tagOffset: number): void {
    checkSpan(tag, tagOffset, this.#authTagLength);
    tag.bytes.set(this.#computed(), tagOffset);
  }

  verify(tag: Region, tagOffset: number): boolean {
    return crypto().timingSafeEqual(part(tag, tagOffset, this.#authTagLength), this.#computed());
  }

  dispose(): void {
    this.#message = undefined;
    this.#key.wipe();
  }

  #computed(): Buffer {
    const message = this.#begun();
    this.#message = undefined;
    message.final();
    return message.getAuthTag();
  }

  #begun(): CipherGCM {
    if (this.#message === undefined) throw notBegun();
    return this.#message;
  }
}

class NodeAead implements AeadKey {
  readonly #cipher: 'aes-256-gcm';
  readonly #options: { readonly authTagLength: TagSize };
  readonly #nonceSize: NonceSize;
  readonly #key: Secret;
  #sealing: CipherGCM | undefined;
  #opening: DecipherGCM | undefined;

  constructor(cipher: 'aes-256-gcm', key: Uint8Array, tagSize: TagSize, nonceSize: NonceSize) {
    this.#options = { authTagLength: tagSize };
    this.#nonceSize = nonceSize;
    this.#cipher = cipher;
    this.#key = Secret.copy(key);
  }

  beginSeal(nonce: Region, nonceOffset: number): void {
    this.#opening = undefined;
    this.#sealing = crypto().createCipheriv(
      this.#cipher,
      this.#key.bytes,
      part(nonce, nonceOffset, this.#nonceSize),
      this.#options,
    );
  }

  beginOpen(nonce: Region, nonceOffset: number): void {
    this.#sealing = undefined;
    this.#opening = crypto().createDecipheriv(
      this.#cipher,
      this.#key.bytes,
      part(nonce, nonceOffset, this.#nonceSize),
      this.#options,
    );
  }

  additional(data: Region, offset: number, length: number): void {
    this.#begun().setAAD(part(data, offset, length));
  }

  crypt(from: Region, fromOffset: number, to: Region, toOffset: number, length: number): void {
    checkSpan(to, toOffset, length);
    move(this.#begun().update(part(from, fromOffset, length)), to.bytes, toOffset);
  }

  finish(tag: Region, tagOffset: number): void {
    checkSpan(tag, tagOffset, this.#options.authTagLength);
    const message = this.#sealing;
    if (message === undefined) throw notBegun();
    this.#sealing = undefined;
    message.final();
    tag.bytes.set(message.getAuthTag(), tagOffset);
  }

  verify(tag: Region, tagOffset: number): boolean {
    const message = this.#opening;
    if (message === undefined) throw notBegun();
    this.#opening = undefined;
    message.setAuthTag(part(tag, tagOffset, this.#options.authTagLength));
    try {
      message.final();
      return true;
    } catch {
      return false;
    }
  }

  dispose(): void {
    this.#sealing = undefined;
    this.#opening = undefined;
    this.#key.wipe();
  }

  #begun(): CipherGCM | DecipherGCM {
    const message = this.#sealing ?? this.#opening;
    if (message === undefined) throw notBegun();
    return message;
  }
}

function part(region: Region, offset: number, length: number): Buffer {
  checkSpan(region, offset, length);
  return region.bytes.subarray(offset, offset + length);
}

/** Copies a result that Node allocated to its destination, and wipes Node's copy. */
function move(result: Uint8Array, to: Uint8Array, toOffset: number): void {
  to.set(result, toOffset);
  wipe(result);
}
