import { Region } from '../../base/linux/native.ts';
import { IMAGE_KEY_SIZE } from '../../crypto/image-keys.ts';
import type { AeadKey, Primitives } from '../../crypto/primitives.ts';
import { Secret } from '../../crypto/secret.ts';
import { randomBytes } from '../../crypto/system-random.ts';
import { parseSlot, type Slot, type SlotJwe } from '../../format/slot.ts';
import type { SlotDescription } from '../../format/slot-description.ts';

/** Size of the key that A256GCM encrypts under, in bytes. */
export const CONTENT_KEY_SIZE = 32;
/** Size of its initialization vector, in bytes. */
export const CONTENT_IV_SIZE = 12;
const TAG_SIZE = 16;
/** AES Key Wrap adds 8 bytes to what it wraps (RFC 3394). */
const WRAPPED_KEY_SIZE = CONTENT_KEY_SIZE + 8;

/**
 * Returns the image key of a slot whose content key is wrapped by AES Key Wrap. Returns undefined when it was wrapped
 * under another key, or the slot is damaged or holds no image key. No key leaves locked memory, which is more than jose
 * and WebCrypto can do: they leave copies on the heap. So a process that serves a mount may open a slot by this.
 * @param wrappingKey 16, 24 or 32 bytes
 */
export function openWrapped(slot: SlotJwe, wrappingKey: Secret, p: Primitives): Secret | undefined {
  const wrapped = Buffer.from(slot.encrypted_key, 'base64url');
  if (wrapped.length !== WRAPPED_KEY_SIZE) return undefined;
  const contentKey = Secret.zeros(CONTENT_KEY_SIZE);
  try {
    if (!p.aesKeyUnwrap(wrappingKey.bytes, new Region(wrapped).bytes, contentKey.bytes)) return undefined;
    return openContent(slot, contentKey, p);
  } finally {
    contentKey.wipe();
  }
}

/**
 * Decrypts the image key of a slot with its content key (A256GCM: RFC 7518 §5.3). Returns undefined when it, or the
 * protected header, is not authentic.
 * @param contentKey 32 bytes
 */
export function openContent(slot: SlotJwe, contentKey: Secret, p: Primitives): Secret | undefined {
  const [iv, ciphertext, tag] = [slot.iv, slot.ciphertext, slot.tag].map(
    (text) => new Region(Buffer.from(text, 'base64url')),
  ) as [Region, Region, Region];
  if (iv.length !== CONTENT_IV_SIZE || ciphertext.length !== IMAGE_KEY_SIZE || tag.length !== TAG_SIZE)
    return undefined;
  const content = p.aes256Gcm(contentKey.bytes);
  try {
    return decrypted(content, new Region(Buffer.from(slot.protected, 'latin1')), iv, ciphertext, tag);
  } finally {
    content.dispose();
  }
}

/** Wraps a content key of 32 bytes. @param context what is wrapped with it: the ASCII of the slot's `protected` */
export type WrapContentKey = (contentKey: Secret, context: Buffer) => Uint8Array | Promise<Uint8Array>;

/**
 * Makes a slot, in locked memory as far as `wrap` does. The content key and the initialization vector are random bytes
 * from the kernel.
 * @param parameters the protected header
 * @throws what `wrap` throws
 */
export async function sealContent(
  imageKey: Secret,
  parameters: object,
  description: SlotDescription,
  wrap: WrapContentKey,
  p: Primitives,
): Promise<Slot> {
  const protectedText = Buffer.from(JSON.stringify(parameters)).toString('base64url');
  const context = Buffer.from(protectedText, 'latin1');
  const iv = new Region(randomBytes(CONTENT_IV_SIZE));
  const [ciphertext, tag] = [new Region(IMAGE_KEY_SIZE), new Region(TAG_SIZE)];
  const contentKey = Secret.random(CONTENT_KEY_SIZE);
  try {
    const wrapped = await wrap(contentKey, context);
    const content = p.aes256Gcm(contentKey.bytes);
    try {
      const additional = new Region(context);
      content.beginSeal(iv, 0);
      content.additional(additional, 0, additional.length);
      content.crypt(new Region(imageKey.bytes), 0, ciphertext, 0, IMAGE_KEY_SIZE);
      content.finish(tag, 0);
    } finally {
      content.dispose();
    }
    const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64url');
    return parseSlot({
      protected: protectedText,
      ...(Object.keys(description).length === 0 ? {} : { header: description }),
      encrypted_key: text(wrapped),
      iv: text(iv.bytes),
      ciphertext: text(ciphertext.bytes),
      tag: text(tag.bytes),
    });
  } finally {
    contentKey.wipe();
  }
}

/** Wraps a content key by AES Key Wrap (RFC 3394), in locked memory. @param wrappingKey 16, 24 or 32 bytes */
export function wrapWithKey(wrappingKey: Secret, p: Primitives): WrapContentKey {
  return (contentKey) => {
    const wrapped = new Region(WRAPPED_KEY_SIZE);
    p.aesKeyWrap(wrappingKey.bytes, contentKey.bytes, wrapped.bytes);
    return wrapped.bytes;
  };
}

function decrypted(
  content: AeadKey,
  additional: Region,
  iv: Region,
  ciphertext: Region,
  tag: Region,
): Secret | undefined {
  const imageKey = Secret.zeros(ciphertext.length);
  content.beginOpen(iv, 0);
  content.additional(additional, 0, additional.length);
  content.crypt(ciphertext, 0, new Region(imageKey.bytes), 0, ciphertext.length);
  if (content.verify(tag, 0)) return imageKey;
  imageKey.wipe();
  return undefined;
}
