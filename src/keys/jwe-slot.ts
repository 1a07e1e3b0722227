import { CkptfsError } from '../base/errors.ts';
import { IMAGE_KEY_SIZE } from '../crypto/image-keys.ts';
import { offHeap } from '../crypto/off-heap.ts';
import { Secret } from '../crypto/secret.ts';
import { randomBytes } from '../crypto/system-random.ts';
import { wipe } from '../crypto/wipe.ts';
import { parseSlot, type SlotJwe, slotParameters } from '../format/slot.ts';

const contentEncryption = 'A256GCM';
/** Of the key that A256GCM encrypts under, and of its initialization vector. */
const CONTENT_KEY_SIZE = 32;
const CONTENT_IV_SIZE = 12;

const algorithmsByKeySize: ReadonlyMap<number, string> = new Map([
  [16, 'A128KW'],
  [24, 'A192KW'],
  [32, 'A256KW'],
]);

/**
 * Wraps the image key under a wrapping key of 16, 24 or 32 bytes (A128KW, A192KW, A256KW: RFC 7518 §4.4). The content key and the
 * initialization vector are fresh ones of the kernel's: jose would draw them from OpenSSL's generator, whose state is in this process.
 * @throws CkptfsError internal for a key of another size
 */
export async function wrapIntoSlot(imageKey: Secret, wrappingKey: Secret): Promise<SlotJwe> {
  const { FlattenedEncrypt } = await import('jose/jwe/flattened/encrypt');
  const header = { alg: algorithmFor(wrappingKey), enc: contentEncryption };
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
  // In the order the members stand in the header.
  return parseSlot({
    protected: jwe.protected,
    encrypted_key: jwe.encrypted_key,
    iv: jwe.iv,
    ciphertext: jwe.ciphertext,
    tag: jwe.tag,
  });
}

/**
 * The image key out of a slot, or undefined when the slot is for another kind or size of key, made with another key, damaged
 * or holds no image key.
 */
export async function unwrapFromSlot(slot: SlotJwe, wrappingKey: Secret): Promise<Secret | undefined> {
  const alg = algorithmFor(wrappingKey);
  if (!fits(slot, alg)) return undefined;
  const { flattenedDecrypt } = await import('jose/jwe/flattened/decrypt');
  const opened = await withCopy(wrappingKey, (key) =>
    flattenedDecrypt(slot, key, {
      keyManagementAlgorithms: [alg],
      contentEncryptionAlgorithms: [contentEncryption],
    }).catch(() => undefined),
  );
  if (opened === undefined) return undefined;
  if (opened.plaintext.length === IMAGE_KEY_SIZE) return Secret.take(opened.plaintext);
  wipe(opened.plaintext);
  return undefined;
}

/** Exactly `alg` and `enc`, nothing else: another parameter would change what the slot means. */
function fits(slot: SlotJwe, alg: string): boolean {
  const parameters = slotParameters(slot);
  return parameters?.size === 2 && parameters.get('alg') === alg && parameters.get('enc') === contentEncryption;
}

function algorithmFor(wrappingKey: Secret): string {
  const algorithm = algorithmsByKeySize.get(wrappingKey.length);
  if (algorithm === undefined) throw new CkptfsError('internal', `a wrapping key of ${wrappingKey.length} bytes`);
  return algorithm;
}

/** WebCrypto, and so jose, takes no shared memory: it gets a copy, wiped afterwards. */
async function withCopy<T>(secret: Secret, use: (copy: Uint8Array<ArrayBuffer>) => Promise<T>): Promise<T> {
  const copy = offHeap(secret.length);
  copy.set(secret.bytes);
  try {
    return await use(copy);
  } finally {
    wipe(copy);
  }
}
