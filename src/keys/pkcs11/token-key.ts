import { keyLibrary } from '../../crypto/libcrypto-keys.ts';
import { loadPublic } from '../../crypto/private-key-components.ts';
import { CURVE_SIZES, type EcJwk, type PublicJwk } from '../../crypto/public-key.ts';
import type { Secret } from '../../crypto/secret.ts';
import { CONTENT_KEY_SIZE } from '../slots/content.ts';
import type { UnwrappingKey } from '../slots/public-key.ts';
import { CKR, ModuleFault } from './faults.ts';
import type { Session } from './session.ts';
import { CKA, Mechanism } from './structures.ts';

/** A key of a token, by what is done with it. */
export type TokenKey =
  | { readonly kind: 'secret'; readonly key: SecretTokenKey }
  | { readonly kind: 'private'; readonly key: PrivateTokenKey }
  | { readonly kind: 'public'; readonly publicJwk: PublicJwk };

/** AES Key Wrap adds 8 bytes to what it wraps (RFC 3394). */
const WRAPPED_KEY_SIZE = CONTENT_KEY_SIZE + 8;

/** A key of AES that wraps content keys in the token (CKM_AES_KEY_WRAP: RFC 3394). */
export class SecretTokenKey {
  /** In bytes: 16, 24 or 32. */
  readonly size: number;
  readonly object: number;
  readonly #session: Session;

  constructor(session: Session, object: number, size: number) {
    this.#session = session;
    this.object = object;
    this.size = size;
  }

  /** @param contentKey 32 bytes @throws ModuleFault */
  wrap(contentKey: Secret): Uint8Array {
    const wrapped = this.#session.wrap(Mechanism.aesKeyWrap(), this.object, contentKey, 2 * WRAPPED_KEY_SIZE);
    if (wrapped.length === WRAPPED_KEY_SIZE) return wrapped;
    throw ModuleFault.garbage('C_WrapKey', `${wrapped.length} bytes, where AES Key Wrap makes ${WRAPPED_KEY_SIZE}`);
  }

  /** Returns the content key of 32 bytes; undefined when it was wrapped by another key. @throws ModuleFault */
  unwrap(wrapped: Uint8Array): Secret | undefined {
    if (wrapped.length !== WRAPPED_KEY_SIZE) return undefined;
    return this.#session.unwrap(Mechanism.aesKeyWrap(), this.object, wrapped, CONTENT_KEY_SIZE);
  }
}

/** What a module returns for OAEP with hashes that it does not have. */
const NO_SUCH_OAEP: ReadonlySet<number | undefined> = new Set([
  CKR.ARGUMENTS_BAD,
  CKR.MECHANISM_INVALID,
  CKR.MECHANISM_PARAM_INVALID,
]);

/** A private key that a token uses: RSA by OAEP, or a curve of NIST by ECDH. */
export class PrivateTokenKey implements UnwrappingKey {
  readonly publicJwk: PublicJwk;
  readonly #session: Session;
  readonly #object: number;

  constructor(session: Session, object: number, publicJwk: PublicJwk) {
    this.#session = session;
    this.#object = object;
    this.publicJwk = publicJwk;
  }

  /** Decrypts by RSA-OAEP with SHA-256 for both hashes, as `PrivateKey` does. @throws ModuleFault, WeakOaep */
  decryptOaep256(wrapped: Uint8Array): Secret | undefined {
    const size = this.publicJwk.kty === 'RSA' ? Buffer.from(this.publicJwk.n, 'base64url').length : 0;
    if (wrapped.length !== size) return undefined;
    try {
      return this.#mayDecrypt()
        ? this.#session.decrypt(Mechanism.rsaOaep256(), this.#object, wrapped, size)
        : this.#session.unwrap(Mechanism.rsaOaep256(), this.#object, wrapped, CONTENT_KEY_SIZE);
    } catch (error) {
      if (error instanceof ModuleFault && NO_SUCH_OAEP.has(error.returned)) throw new WeakOaep(error);
      throw error;
    }
  }

  /** Agrees on a secret, as `PrivateKey` does. @throws ModuleFault */
  agree(peer: PublicJwk): Secret | undefined {
    const { publicJwk } = this;
    if (publicJwk.kty !== 'EC' || peer.kty !== 'EC' || peer.crv !== publicJwk.crv || !isOnCurve(peer)) return undefined;
    const point = Buffer.concat([Buffer.of(4), Buffer.from(peer.x, 'base64url'), Buffer.from(peer.y, 'base64url')]);
    return this.#session.derive(Mechanism.ecdh(point), this.#object, CURVE_SIZES[peer.crv]);
  }

  /** Some tokens let a key only unwrap. */
  #mayDecrypt(): boolean {
    return this.#session.numberAttribute(this.#object, CKA.decrypt) !== 0;
  }
}

/** A token has OAEP, but not with SHA-256. */
export class WeakOaep extends Error {
  override readonly name = 'WeakOaep';

  constructor(cause: ModuleFault) {
    super(cause.message, { cause });
  }
}

/** A point that is not on the curve could make a token tell bits of its key. */
function isOnCurve(jwk: EcJwk): boolean {
  const pointer = loadPublic(jwk);
  if (pointer === undefined) return false;
  keyLibrary().pkeyFree(pointer);
  return true;
}
