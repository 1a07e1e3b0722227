import { CkptfsError } from '../base/errors.ts';
import { Region } from '../base/linux/native.ts';
import { disposedKey } from './checks.ts';
import { DerReader, TAG } from './der.ts';
import { keyLibrary, openSslFailure, takeOpenSslErrors } from './libcrypto-keys.ts';
import { type LoadedKey, loadEc, loadOkp, loadPublic, loadRsa, type RsaComponents } from './private-key-components.ts';
import { CURVE_SIZES, fitsAlgorithm, type NistCurve, type PublicJwk, type SignatureAlgorithm } from './public-key.ts';
import { Secret } from './secret.ts';

const NULL = 0;

/**
 * Holds a private key in the memory of OpenSSL, an EVP_PKEY. Its bytes never become a JavaScript value: they are read
 * from memory off the heap, and what an operation gives is in a {@link Secret}.
 */
export class PrivateKey {
  readonly publicJwk: PublicJwk;
  readonly #lib = keyLibrary();
  #pointer: number;

  private constructor({ pointer, publicJwk }: LoadedKey) {
    this.#pointer = pointer;
    this.publicJwk = publicJwk;
  }

  /** Makes an RSA key of its numbers. The caller wipes them. @throws KeyProblem */
  static rsa(components: RsaComponents): PrivateKey {
    return new PrivateKey(loadRsa(components));
  }

  /** Makes a key of a curve of NIST. @param scalar big-endian; the caller wipes it @throws KeyProblem */
  static ec(curve: NistCurve, scalar: Uint8Array): PrivateKey {
    return new PrivateKey(loadEc(curve, scalar));
  }

  /** @param bytes 32 bytes, the private key of RFC 7748 §5; the caller wipes them @throws KeyProblem */
  static x25519(bytes: Uint8Array): PrivateKey {
    return new PrivateKey(loadOkp('X25519', bytes));
  }

  /** @param seed 32 bytes, the private key of RFC 8032 §5.1.5; the caller wipes it @throws KeyProblem */
  static ed25519(seed: Uint8Array): PrivateKey {
    return new PrivateKey(loadOkp('Ed25519', seed));
  }

  /**
   * Returns the X25519 key that an Ed25519 key is used as for slots (format.md §3): the first half of the SHA-512 of
   * its seed. The caller disposes of both.
   */
  asX25519(): PrivateKey {
    const [seed, hash, length] = [Secret.zeros(32), Secret.zeros(64), sized(32)];
    try {
      const isEd25519 = this.publicJwk.kty === 'OKP' && this.publicJwk.crv === 'Ed25519';
      if (!isEd25519) throw new CkptfsError('internal', 'only an Ed25519 key is used as an X25519 key');
      const [from, to] = [new Region(seed.bytes), new Region(hash.bytes)];
      if (this.#lib.pkeyRawPrivate(this.#live(), from.address, length.address) !== 1) {
        throw openSslFailure('EVP_PKEY_get_raw_private_key');
      }
      const sha512 = this.#lib.digestByName('sha512');
      if (this.#lib.digest(from.address, 32, to.address, NULL, sha512, NULL) !== 1) throw openSslFailure('EVP_Digest');
      return PrivateKey.x25519(hash.bytes.subarray(0, 32));
    } finally {
      for (const secret of [seed, hash]) secret.wipe();
    }
  }

  /**
   * Decrypts by RSA-OAEP with SHA-256 for both hashes. Returns undefined when it was not encrypted for this key, or is
   * damaged. The caller wipes the result.
   */
  decryptOaep256(wrapped: Uint8Array): Secret | undefined {
    return this.#decryptRsa(wrapped, (context) => {
      const isSet =
        this.#lib.contextSet(context, 'rsa_padding_mode', 'oaep') === 1 &&
        this.#lib.contextSet(context, 'rsa_oaep_md', 'sha256') === 1 &&
        this.#lib.contextSet(context, 'rsa_mgf1_md', 'sha256') === 1;
      if (!isSet) throw openSslFailure('OAEP');
    });
  }

  /**
   * Decrypts by RSA with the padding of PKCS#1 v1.5, which authenticates nothing: with another key, bytes of chance and
   * of any length come out in one of some hundred thousand cases. Returns undefined when the padding is wrong. The
   * caller wipes the result.
   */
  decryptPkcs1(wrapped: Uint8Array): Secret | undefined {
    return this.#decryptRsa(wrapped, (context) => {
      if (this.#lib.contextSet(context, 'rsa_padding_mode', 'pkcs1') !== 1) throw openSslFailure('PKCS#1');
      // Newer versions of OpenSSL return bytes of chance for a wrong padding, unless they are told not to.
      if (this.#lib.contextSet(context, 'rsa_pkcs1_implicit_rejection', '0') !== 1) takeOpenSslErrors();
    });
  }

  /** @param choosePadding sets it in an EVP_PKEY_CTX */
  #decryptRsa(wrapped: Uint8Array, choosePadding: (context: number) => void): Secret | undefined {
    if (this.publicJwk.kty !== 'RSA') throw wrongKind('RSA');
    const size = Buffer.from(this.publicJwk.n, 'base64url').length;
    if (wrapped.length !== size) return undefined;
    const padded = Secret.zeros(size);
    const length = sized(size);
    try {
      return this.#withContext((context) => {
        if (this.#lib.decryptInit(context) !== 1) throw openSslFailure('EVP_PKEY_decrypt_init');
        choosePadding(context);
        const [from, to] = [new Region(wrapped), new Region(padded.bytes)];
        if (this.#lib.decrypt(context, to.address, length.address, from.address, from.length) !== 1) {
          takeOpenSslErrors();
          return undefined;
        }
        const found = Number(length.view.getBigUint64(0, true));
        return found === 0 ? undefined : Secret.copy(padded.bytes.subarray(0, found));
      });
    } finally {
      padded.wipe();
    }
  }

  /**
   * Agrees on a secret with the holder of another key of the same curve: the x coordinate of ECDH (RFC 7518 §4.6.1) or
   * the value of X25519. Returns undefined for a peer of another curve, a point that is not on the curve, and a secret
   * of zeros (RFC 7748 §6.1). The caller wipes the result.
   */
  agree(peer: PublicJwk): Secret | undefined {
    const { publicJwk } = this;
    if (publicJwk.kty === 'RSA' || publicJwk.crv === 'Ed25519') throw wrongKind('EC or X25519');
    if (peer.kty === 'RSA' || peer.crv !== publicJwk.crv) return undefined;
    const other = loadPublic(peer);
    if (other === undefined) return undefined;
    const agreed = Secret.zeros(publicJwk.kty === 'EC' ? CURVE_SIZES[publicJwk.crv] : 32);
    const length = sized(agreed.length);
    let isAgreed = false;
    try {
      return this.#withContext((context) => {
        if (this.#lib.deriveInit(context) !== 1) throw openSslFailure('EVP_PKEY_derive_init');
        isAgreed =
          this.#lib.deriveSetPeer(context, other) === 1 &&
          this.#lib.derive(context, new Region(agreed.bytes).address, length.address) === 1 &&
          length.view.getBigUint64(0, true) === BigInt(agreed.length) &&
          agreed.bytes.reduce((all, byte) => all | byte, 0) !== 0;
        return isAgreed ? agreed : undefined;
      });
    } finally {
      takeOpenSslErrors();
      this.#lib.pkeyFree(other);
      if (!isAgreed) agreed.wipe();
    }
  }

  /** Signs in the form that JOSE has: for ES256 and ES384 r and s, one after the other (RFC 7518 §3.4). */
  sign(alg: SignatureAlgorithm, data: Uint8Array): Buffer {
    if (!fitsAlgorithm(this.publicJwk, alg)) throw wrongKind(alg);
    const context = this.#lib.digestContextNew();
    try {
      const [keyContext, from] = [new Region(8), new Region(data)];
      const digest = alg === 'EdDSA' ? NULL : this.#lib.digestByName(alg === 'ES384' ? 'sha384' : 'sha256');
      if (this.#lib.signInit(context, keyContext.address, digest, NULL, this.#live()) !== 1) {
        throw openSslFailure('EVP_DigestSignInit');
      }
      const inner = Number(keyContext.view.getBigUint64(0, true));
      const isPss = alg === 'PS256';
      if (isPss && this.#lib.contextSet(inner, 'rsa_padding_mode', 'pss') !== 1) throw openSslFailure('PSS');
      if (isPss && this.#lib.contextSet(inner, 'rsa_pss_saltlen', 'digest') !== 1) throw openSslFailure('PSS');
      const [signature, length] = [new Region(2048), sized(2048)];
      if (this.#lib.sign(context, signature.address, length.address, from.address, from.length) !== 1) {
        throw openSslFailure('EVP_DigestSign');
      }
      const made = signature.bytes.subarray(0, Number(length.view.getBigUint64(0, true)));
      return this.publicJwk.kty === 'EC' ? rawSignature(made, CURVE_SIZES[this.publicJwk.crv]) : made;
    } finally {
      this.#lib.digestContextFree(context);
    }
  }

  /** Frees the key; OpenSSL overwrites it. May be called again; any other use throws. */
  dispose(): void {
    if (this.#pointer !== NULL) this.#lib.pkeyFree(this.#pointer);
    this.#pointer = NULL;
  }

  #withContext<T>(use: (context: number) => T): T {
    const context = this.#lib.contextFromKey(NULL, this.#live(), NULL);
    if (context === NULL) throw openSslFailure('EVP_PKEY_CTX_new_from_pkey');
    try {
      return use(context);
    } finally {
      this.#lib.contextFree(context);
    }
  }

  #live(): number {
    if (this.#pointer === NULL) throw disposedKey();
    return this.#pointer;
  }
}

/** Turns the SEQUENCE of two INTEGERs that OpenSSL makes into r and s of `size` bytes each. */
function rawSignature(der: Uint8Array, size: number): Buffer {
  const numbers = new DerReader(new DerReader(der).take(TAG.sequence));
  const raw = Buffer.alloc(2 * size);
  const [r, s] = [numbers.unsigned(), numbers.unsigned()];
  raw.set(r, size - r.length);
  raw.set(s, 2 * size - s.length);
  return raw;
}

/** Returns a size_t of C, by which OpenSSL is told of room and tells how much it used. */
function sized(length: number): Region {
  const region = new Region(8);
  region.view.setBigUint64(0, BigInt(length), true);
  return region;
}

function wrongKind(needed: string): CkptfsError {
  return new CkptfsError('internal', `a private key was used for what needs an ${needed} key`);
}
