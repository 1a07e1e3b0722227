import type { CompactJWEHeaderParameters, FlattenedEncrypt } from 'jose';
import { wipe } from '../../base/wipe.ts';
import { offHeap } from '../../crypto/off-heap.ts';
import { Secret } from '../../crypto/secret.ts';
import { randomBytes } from '../../crypto/system-random.ts';
import { parseSlot, type Slot } from '../../format/slot.ts';
import type { SlotDescription } from '../../format/slot-description.ts';
import { CONTENT_IV_SIZE, CONTENT_KEY_SIZE } from './content.ts';

/**
 * Makes a slot by jose. The content key and the initialization vector are random bytes from the kernel. Left to itself,
 * jose would take them from OpenSSL's generator, whose state is in this process.
 * @param parameters the protected header
 * @param encrypt calls `encrypt` with the recipient's key
 */
export async function makeSlot(
  imageKey: Secret,
  parameters: CompactJWEHeaderParameters,
  description: SlotDescription,
  encrypt: (jwe: FlattenedEncrypt) => ReturnType<FlattenedEncrypt['encrypt']>,
): Promise<Slot> {
  const { FlattenedEncrypt } = await import('jose/jwe/flattened/encrypt');
  const contentKey = Secret.random(CONTENT_KEY_SIZE);
  const jwe = await withCopy(imageKey, (payload) =>
    withCopy(contentKey, (cek) =>
      encrypt(
        new FlattenedEncrypt(payload)
          .setProtectedHeader(parameters)
          .setContentEncryptionKey(cek)
          .setInitializationVector(randomBytes(CONTENT_IV_SIZE)),
      ),
    ),
  ).finally(() => contentKey.wipe());
  const { protected: prot, encrypted_key, iv, ciphertext, tag } = jwe;
  const header = Object.keys(description).length === 0 ? {} : { header: description };
  return parseSlot({ protected: prot, ...header, encrypted_key, iv, ciphertext, tag });
}

/** Calls `use` with a copy that is wiped afterwards, because WebCrypto, and so jose, does not accept shared memory. */
export async function withCopy<T>(secret: Secret, use: (copy: Uint8Array<ArrayBuffer>) => Promise<T>): Promise<T> {
  const copy = offHeap(secret.length);
  copy.set(secret.bytes);
  try {
    return await use(copy);
  } finally {
    wipe(copy);
  }
}
