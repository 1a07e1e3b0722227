import { ByteReader, MalformedError } from '../base/bytes.ts';
import { CkptfsError } from '../base/errors.ts';
import { MAGIC } from './image-magic.ts';
import { Message } from './message.ts';

/** The name of the file that marks a directory as encrypted by CRIU. */
export const CIPHER_IMAGE = 'cipher.img';

/** Bytes. It has two values of RSA, which have at most 2048 bytes each. */
export const MAX_CIPHER_IMAGE_SIZE = 65_536;

const FIELD = { token: 1, aesKey: 2, iv: 3, digest: 4 } as const;
const IV_SIZE = 16;
const DIGEST_SIZE = 32;

/** What cipher.img has: the keys of a directory, encrypted for a certificate. */
export interface CipherImage {
  /** RSA ciphertext of the key of ChaCha20-Poly1305, which is that of the page digest as well. */
  readonly token: Buffer;
  /** RSA ciphertext of the key of AES-256-XTS. */
  readonly aesKey: Buffer;
  /** The tweak of every memory page: 16 bytes. */
  readonly iv: Buffer;
  /** The page digest, 32 bytes; undefined where it is absent. */
  readonly digest: Buffer | undefined;
}

/** @param path for messages @throws CkptfsError `damaged` */
export function parseCipherImage(bytes: Uint8Array, path: string = CIPHER_IMAGE): CipherImage {
  try {
    const reader = new ByteReader(bytes);
    if (reader.u32() !== MAGIC.common || reader.u32() !== MAGIC.cipher)
      throw new MalformedError('it has another magic');
    const message = new Message(reader.take(reader.u32()));
    if (reader.remaining > 0) throw new MalformedError('bytes follow its message');
    const [token, aesKey] = [required(message, FIELD.token), required(message, FIELD.aesKey)];
    // Both are encrypted for one key, whose size they have.
    if (token.length !== aesKey.length) throw new MalformedError('its two keys are not encrypted for the same key');
    return {
      token,
      aesKey,
      iv: required(message, FIELD.iv, IV_SIZE),
      digest: optional(message, FIELD.digest, DIGEST_SIZE),
    };
  } catch (cause) {
    if (!(cause instanceof MalformedError)) throw cause;
    throw new CkptfsError('damaged', `${path} is malformed: ${cause.message}`, { path, cause });
  }
}

function required(message: Message, field: number, length?: number): Buffer {
  const found = optional(message, field, length);
  if (found === undefined) throw new MalformedError(`field ${field} is missing`);
  return found;
}

function optional(message: Message, field: number, length?: number): Buffer | undefined {
  const found = message.part(field);
  if (found === undefined) {
    if (message.number(field) !== undefined) throw new MalformedError(`field ${field} is a number`);
    return undefined;
  }
  if (found.length === 0 || (length !== undefined && found.length !== length))
    throw new MalformedError(`field ${field} has ${found.length} bytes`);
  return Buffer.from(found);
}
