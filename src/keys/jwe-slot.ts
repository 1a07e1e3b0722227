import { CkptfsError } from '../base/errors.ts';
import { wipe } from '../base/wipe.ts';
import { IMAGE_KEY_SIZE } from '../crypto/image-keys.ts';
import { offHeap } from '../crypto/off-heap.ts';
import { Secret } from '../crypto/secret.ts';
import { randomBytes } from '../crypto/system-random.ts';
import { parseSlot, type SlotJwe, slotParameters } from '../format/slot.ts';

const CONTENT_ENCRYPTION = 'A256GCM';
/** Sizes of the key that A256GCM encrypts under and of its initialization vector. */
const CONTENT_KEY_SIZE = 32;
const CONTENT_IV_SIZE = 12;

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
 * another key, is damaged or holds no image key.
 */
export async function unwrapFromSlot(slot: SlotJwe, wrappingKey: Secret): Promise<Secret | undefined> {
  const alg = algorithmFor(wrappingKey);
  if (!fits(slot, alg)) return undefined;
  const { flattenedDecrypt } = await import('jose/jwe/flattened/decrypt');
  const opened = await withCopy(wrappingKey, (key) =>
    flattenedDecrypt(slot, key, {
      keyManagementAlgorithms: [alg],
      contentEncryptionAlgorithms: [CONTENT_ENCRYPTION],
    }).catch(() => undefined),
  );
  if (opened === undefined) return undefined;
  if (opened.plaintext.length === IMAGE_KEY_SIZE) return Secret.take(opened.plaintext);
  wipe(opened.plaintext);
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
