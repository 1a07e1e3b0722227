import { createCipheriv, createDecipheriv, createECDH, createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { MalformedError } from '../../base/bytes.ts';
import { wipe } from '../../base/wipe.ts';
import { offHeap } from '../../crypto/off-heap.ts';
import { randomBytes } from '../../crypto/system-random.ts';
import { sized, u16, u32 } from './tpm-bytes.ts';

/**
 * What a session of the TPM computes (TPM 2.0 Library Specification, part 1, §11.4.10, §19, §21 and annex C): it
 * authenticates commands and responses, and encrypts their first parameter, so that a device on the bus between
 * processor and TPM neither learns it nor changes it nor answers in the place of the TPM.
 */

export const NONCE_SIZE = 32;
const DIGEST_BITS = 256;
const CFB_BITS = 256;
const COORDINATE_SIZE = 32;

export const CONTINUE_SESSION = 0x01;
/** The first parameter of the command is encrypted. */
export const DECRYPT = 0x20;
/** The first parameter of the response is encrypted. */
export const ENCRYPT = 0x40;

/** A point of P-256, as coordinates of 32 bytes. */
export interface Point {
  readonly x: Buffer;
  readonly y: Buffer;
}

/** A random secret for a session, and the same as only the holder of a key can read it (TPMS_ECC_POINT). */
export interface Salt {
  readonly secret: Buffer;
  readonly encrypted: Buffer;
}

/** Makes a salt for the key of a TPM. @throws MalformedError for a point that is not on the curve */
export function makeSalt(recipient: Point): Salt {
  const ephemeral = createECDH('prime256v1');
  for (let isKey = false; !isKey; ) {
    const bytes = randomBytes(COORDINATE_SIZE);
    try {
      ephemeral.setPrivateKey(bytes);
      isKey = true;
    } catch {
      // Not below the order of the curve, which hardly ever happens.
    } finally {
      wipe(bytes);
    }
  }
  const own = ephemeral.getPublicKey();
  const [x, y] = [own.subarray(1, 1 + COORDINATE_SIZE), own.subarray(1 + COORDINATE_SIZE)];
  let agreed: Buffer;
  try {
    agreed = ephemeral.computeSecret(Buffer.concat([Buffer.of(4), recipient.x, recipient.y]));
  } catch {
    throw new MalformedError('the key of the TPM is no point of P-256');
  }
  const secret = kdfe(agreed, 'SECRET', x, recipient.x);
  wipe(agreed);
  return { secret, encrypted: Buffer.concat([sized(x), sized(y)]) };
}

/** A session after TPM2_StartAuthSession. */
export class SessionKeys {
  /** The session key, followed by the authorization value of the entity that it is used for. */
  readonly #key: Buffer;
  readonly #sessionKeySize: number;
  /** Whether the key of the HMAC has the authorization value: not in a policy session without PolicyAuthValue. */
  readonly #authenticatesValue: boolean;
  #nonceTpm: Buffer;
  #nonceCaller: Buffer;

  /** @param authValue of the entity, without zeros at its end; empty for none. It is copied, `salt` is wiped */
  constructor(salt: Buffer, nonceCaller: Buffer, nonceTpm: Buffer, authValue: Uint8Array, authenticatesValue: boolean) {
    const sessionKey = kdfa(salt, 'ATH', nonceTpm, nonceCaller, DIGEST_BITS);
    this.#key = offHeap(sessionKey.length + authValue.length);
    this.#key.set(sessionKey);
    this.#key.set(authValue, sessionKey.length);
    this.#sessionKeySize = sessionKey.length;
    this.#authenticatesValue = authenticatesValue;
    this.#nonceTpm = Buffer.from(nonceTpm);
    this.#nonceCaller = nonceCaller;
    wipe(sessionKey);
    wipe(salt);
  }

  /** Begins a command: makes a nonce for it. */
  renew(): Buffer {
    this.#nonceCaller = randomBytes(NONCE_SIZE);
    return this.#nonceCaller;
  }

  /** Encrypts a parameter of the command, what is in its TPM2B. */
  encrypt(parameter: Buffer): Buffer {
    const [key, iv] = this.#cfbKey(this.#nonceCaller, this.#nonceTpm);
    const encrypted = createCipheriv('aes-128-cfb', key, iv).update(parameter);
    wipe(key);
    return encrypted;
  }

  /** Returns the HMAC of a command. @param names of the entities of its handles. @param parameters as they are sent */
  commandHmac(code: number, names: readonly Buffer[], parameters: Buffer, attributes: number): Buffer {
    const digest = createHash('sha256').update(u32(code));
    for (const name of names) digest.update(name);
    return this.#hmac(digest.update(parameters).digest(), this.#nonceCaller, this.#nonceTpm, attributes);
  }

  /**
   * Checks the HMAC of a response, before anything in it is believed.
   * @throws MalformedError when another than the TPM answered
   */
  acceptResponse(code: number, parameters: Buffer, nonceTpm: Buffer, attributes: number, hmac: Buffer): void {
    this.#nonceTpm = Buffer.from(nonceTpm);
    const digest = createHash('sha256').update(u32(0)).update(u32(code)).update(parameters).digest();
    const expected = this.#hmac(digest, this.#nonceTpm, this.#nonceCaller, attributes);
    if (hmac.length !== expected.length || !timingSafeEqual(hmac, expected))
      throw new MalformedError('the response is not authentic');
  }

  /** Decrypts a parameter of the response, after {@link acceptResponse}. The caller wipes it. */
  decrypt(parameter: Buffer): Buffer {
    const [key, iv] = this.#cfbKey(this.#nonceTpm, this.#nonceCaller);
    const decrypted = createDecipheriv('aes-128-cfb', key, iv).update(parameter);
    wipe(key);
    return decrypted;
  }

  wipe(): void {
    wipe(this.#key);
  }

  #hmac(digest: Buffer, newer: Buffer, older: Buffer, attributes: number): Buffer {
    const key = this.#authenticatesValue ? this.#key : this.#key.subarray(0, this.#sessionKeySize);
    return createHmac('sha256', key).update(digest).update(newer).update(older).update(Buffer.of(attributes)).digest();
  }

  #cfbKey(newer: Buffer, older: Buffer): [key: Buffer, iv: Buffer] {
    const bytes = kdfa(this.#key, 'CFB', newer, older, CFB_BITS);
    return [bytes.subarray(0, 16), bytes.subarray(16, 32)];
  }
}

/** KDFa (part 1, §11.4.10.2) by HMAC-SHA-256, of at most 256 bits. */
function kdfa(key: Buffer, label: string, contextU: Buffer, contextV: Buffer, bits: number): Buffer {
  const hmac = createHmac('sha256', key).update(u32(1)).update(`${label}\0`);
  return hmac.update(contextU).update(contextV).update(u32(bits)).digest();
}

/** KDFe (part 1, §11.4.10.3) by SHA-256, of 256 bits. */
function kdfe(agreed: Buffer, label: string, partyU: Buffer, partyV: Buffer): Buffer {
  return createHash('sha256').update(u32(1)).update(agreed).update(`${label}\0`).update(partyU).update(partyV).digest();
}

/** Returns the name of an object: the algorithm of its names, and the digest of its public area (part 1, §16). */
export function nameOf(publicArea: Buffer): Buffer {
  return Buffer.concat([u16(0x000b), createHash('sha256').update(publicArea).digest()]);
}
