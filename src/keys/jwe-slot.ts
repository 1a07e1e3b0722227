import { CkptfsError } from '../base/errors.ts';
import { Region } from '../base/linux/native.ts';
import { wipe } from '../base/wipe.ts';
import { IMAGE_KEY_SIZE } from '../crypto/image-keys.ts';
import { offHeap } from '../crypto/off-heap.ts';
import type { AeadKey, Primitives } from '../crypto/primitives.ts';
import { Secret } from '../crypto/secret.ts';
import { primitives } from '../crypto/select.ts';
import { randomBytes } from '../crypto/system-random.ts';
import { parseSlot, type SlotJwe, slotParameters } from '../format/slot.ts';

const CONTENT_ENCRYPTION = 'A256GCM';
/** Sizes of the key that A256GCM encrypts under and of its initialization vector. */
const CONTENT_KEY_SIZE = 32;
const CONTENT_IV_SIZE = 12;
/** Sizes of the wrapped content key (RFC 3394 adds 8 bytes), iv, ciphertext and tag of a slot. */
const SLOT_SIZES = [CONTENT_KEY_SIZE + 8, CONTENT_IV_SIZE, IMAGE_KEY_SIZE, 16] as const;

const ALGORITHMS_BY_KEY_SIZE: ReadonlyMap<number, string> = new Map([
  [16, 'A128KW'],
  [24, 'A192KW'],
  [32, 'A256KW'],
]);

/**
 * Wraps the image key under a wrapping key of 16, 24 or 32 bytes (A128KW, A192KW, A256KW: RFC 7518 §4.4). The content
 * key and the initialization vector are random bytes from the kernel. Left to itself, jose would take them from
 * OpenSSL's generator, whose state is in this process.
 * @throws CkptfsError `internal` for a key of another size
 */
export async function wrapIntoSlot(imageKey: Secret, wrappingKey: Secret): Promise<SlotJwe> {
  const { FlattenedEncrypt } = await import('jose/jwe/flattened/encrypt');
  const header = { alg: algorithmFor(wrappingKey), enc: CONTENT_ENCRYPTION };
  const contentKey = Secret.random(CONTENT_KEY_SIZE);
  const jwe = await withCopy(imageKey, (payload) =>
    withCopy(contentKey, (cek) =>
      withCopy(wrappingKey, (key) =>
        new FlattenedEncrypt(payload)
          .setProtectedHeader(header)
          .setContentEncryptionKey(cek)
          .setInitializationVector(randomBytes(CONTENT_IV_SIZE))
          .encrypt(key),
      ),
    ),
  ).finally(() => contentKey.wipe());
  // The members are in the order that they have in the header.
  return parseSlot({
    protected: jwe.protected,
    encrypted_key: jwe.encrypted_key,
    iv: jwe.iv,
    ciphertext: jwe.ciphertext,
    tag: jwe.tag,
  });
}

/**
 * Unwraps the image key of a slot. Returns undefined when the slot is for another kind or size of key, was made with
 * another key, is damaged or holds no image key. No key leaves locked memory, which is more than jose and WebCrypto can
 * do: they leave copies on the heap. So a process that serves a mount may open a slot by this.
 */
export function unwrapFromSlot(slot: SlotJwe, wrappingKey: Secret, p: Primitives = primitives()): Secret | undefined {
  if (!fits(slot, algorithmFor(wrappingKey))) return undefined;
  const [wrapped, iv, ciphertext, tag] = [slot.encrypted_key, slot.iv, slot.ciphertext, slot.tag].map(
    (text) => new Region(Buffer.from(text, 'base64url')),
  ) as [Region, Region, Region, Region];
  const sizes = [wrapped.length, iv.length, ciphertext.length, tag.length];
  if (sizes.some((size, at) => size !== SLOT_SIZES[at])) return undefined;
  const contentKey = Secret.zeros(CONTENT_KEY_SIZE);
  try {
    if (!p.aesKeyUnwrap(wrappingKey.bytes, wrapped.bytes, contentKey.bytes)) return undefined;
    const content = p.aes256Gcm(contentKey.bytes);
    try {
      return opened(content, new Region(Buffer.from(slot.protected, 'latin1')), iv, ciphertext, tag);
    } finally {
      content.dispose();
    }
  } finally {
    contentKey.wipe();
  }
}

/** Decrypts the image key. Returns undefined when it, or the additional data, is not authentic. */
function opened(content: AeadKey, additional: Region, iv: Region, ciphertext: Region, tag: Region): Secret | undefined {
  const imageKey = Secret.zeros(ciphertext.length);
  content.beginOpen(iv, 0);
  content.additional(additional, 0, additional.length);
  content.crypt(ciphertext, 0, new Region(imageKey.bytes), 0, ciphertext.length);
  if (content.verify(tag, 0)) return imageKey;
  imageKey.wipe();
  return undefined;
}

/** Returns whether the slot has exactly the parameters `alg` and `enc`: any other would change what the slot means. */
function fits(slot: SlotJwe, alg: string): boolean {
  const parameters = slotParameters(slot);
  return parameters?.size === 2 && parameters.get('alg') === alg && parameters.get('enc') === CONTENT_ENCRYPTION;
}

function algorithmFor(wrappingKey: Secret): string {
  const algorithm = ALGORITHMS_BY_KEY_SIZE.get(wrappingKey.length);
  if (algorithm === undefined)
    throw new CkptfsError('internal', `no algorithm wraps with a key of ${wrappingKey.length} bytes`);
  return algorithm;
}

/** Calls `use` with a copy that is wiped afterwards, because WebCrypto, and so jose, does not accept shared memory. */
async function withCopy<T>(secret: Secret, use: (copy: Uint8Array<ArrayBuffer>) => Promise<T>): Promise<T> {
  const copy = offHeap(secret.length);
  copy.set(secret.bytes);
  try {
    return await use(copy);
  } finally {
    wipe(copy);
  }
}
