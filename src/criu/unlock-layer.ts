import { CkptfsError } from '../base/errors.ts';
import type { Directory } from '../base/linux/directory.ts';
import { Region } from '../base/linux/native.ts';
import { wipe } from '../base/wipe.ts';
import type { PrivateKey } from '../crypto/private-key.ts';
import { primitives } from '../crypto/select.ts';
import { BlobKey, blobAt, TRAILER_SIZE } from './blob-key.ts';
import type { CipherImage } from './cipher-image.ts';
import { type ImageKind, imageKind } from './image-kind.ts';
import { magicSize } from './image-magic.ts';
import { listFiles, openListed, readCipherImage, type StoredEntry } from './layer-directory.ts';
import { LENGTH_SIZE } from './sealed-walk.ts';

/** Bytes of the secrets of a directory: the key of its images (the token), then that of its memory pages. */
export const TOKEN_SIZE = 32;
export const PAGES_KEY_SIZE = 64;
export const LAYER_SECRETS_SIZE = TOKEN_SIZE + PAGES_KEY_SIZE;

/** A private key that may open a directory. */
export interface LayerKey {
  /** Names it in messages: `private key host.pem`. */
  readonly source: string;
  readonly key: PrivateKey;
}

const ANOTHER_KEY = 'it was made for another key';

/** Bytes of a first entry that is decrypted to try a key. Those of inventory.img and pstree.img have some ten. */
const MAX_TRIED_ENTRY = 1 << 20;

/**
 * Unwraps the secrets of a directory with the first key that fits: one by which both have their lengths, and the tag of
 * an image matches.
 * @param into gets the secrets: 96 bytes of locked memory, zeros after an error
 * @returns the source of the key
 * @throws CkptfsError `no-key` without any key; `wrong-key` when none fits; `damaged` about cipher.img, also when a
 *   key opens it but no image; `io`
 */
export function unlockLayer(directory: Directory, keys: readonly LayerKey[], into: Uint8Array): string {
  if (into.length !== LAYER_SECRETS_SIZE) throw new CkptfsError('internal', `room for secrets of ${into.length} bytes`);
  const path = directory.path();
  const cipher = readCipherImage(directory);
  if (keys.length === 0)
    throw new CkptfsError('no-key', `no private key was given for ${path}`, { path, data: { needs: 'rsa-key' } });
  let damage: string | undefined;
  try {
    for (const { source, key } of keys) {
      const problem = unwrap(cipher, key, into);
      if (problem === undefined && opensAnyImage(directory, into.subarray(0, TOKEN_SIZE))) return source;
      if (problem !== ANOTHER_KEY)
        damage ??= `${source} opens its cipher.img, but ${problem ?? 'the tag of no image matches'}`;
    }
  } catch (error) {
    wipe(into);
    throw error;
  }
  wipe(into);
  if (damage === undefined) throw wrongKey(path, keys);
  throw new CkptfsError('damaged', `${path}: ${damage}`, { path });
}

/** Returns what is wrong with the secrets, or with the key. */
function unwrap(cipher: CipherImage, key: PrivateKey, into: Uint8Array): string | undefined {
  if (key.publicJwk.kty !== 'RSA') return ANOTHER_KEY;
  const token = key.decryptPkcs1(cipher.token);
  const pagesKey = token && key.decryptPkcs1(cipher.aesKey);
  try {
    if (token === undefined) return ANOTHER_KEY;
    if (token.length !== TOKEN_SIZE) return `its token has ${token.length} bytes, not ${TOKEN_SIZE}`;
    if (pagesKey === undefined) return 'its AES key is damaged';
    if (pagesKey.length !== PAGES_KEY_SIZE) return `its AES key has ${pagesKey.length} bytes, not ${PAGES_KEY_SIZE}`;
    // Such a key is weak, and OpenSSL refuses it.
    const half = PAGES_KEY_SIZE / 2;
    if (primitives().isEqual(pagesKey.bytes.subarray(0, half), pagesKey.bytes.subarray(half)))
      return 'the two halves of its AES key are equal';
    into.set(token.bytes);
    into.set(pagesKey.bytes, TOKEN_SIZE);
    return undefined;
  } finally {
    token?.wipe();
    pagesKey?.wipe();
  }
}

/** Tells whether a token fits: the first tag of an image matches, or there is neither a tag to try nor memory. */
function opensAnyImage(directory: Directory, token: Uint8Array): boolean {
  const key = new BlobKey(token);
  try {
    const results = [...tries(directory, key)];
    return results.includes(true) || (results.length === 0 && !listFiles(directory).some(isMemory));
  } finally {
    key.dispose();
  }
}

/** Tries the first entry of one image after the other, until one opens. */
function* tries(directory: Directory, key: BlobKey): Generator<boolean> {
  const images = listFiles(directory).filter((image) => ['entries', 'pagemap'].includes(kindOf(image)));
  const preferred = images.toSorted((a, b) => rank(a) - rank(b));
  for (const image of preferred) {
    const isOpen = opensFirstEntry(directory, image, key);
    if (isOpen !== undefined) yield isOpen;
    if (isOpen === true) return;
  }
}

function kindOf({ name }: StoredEntry): ImageKind {
  return imageKind(name.toString('latin1'));
}

/** Names inventory.img first, which is small, and pagemaps last, which may be in clear. */
function rank(image: StoredEntry): number {
  if (image.name.toString('latin1') === 'inventory.img') return 0;
  return kindOf(image) === 'pagemap' ? 2 : 1;
}

function isMemory(image: StoredEntry): boolean {
  return kindOf(image) === 'pages' && image.size > 0;
}

/** Returns undefined when an image has no entry to try. */
function opensFirstEntry(directory: Directory, image: StoredEntry, key: BlobKey): boolean | undefined {
  const file = openListed(directory, image);
  try {
    const head = new Region(12);
    const found = file.read(head, 0, Math.min(head.length, image.size), 0);
    const start = startOfEntries(head, found);
    if (start === undefined || start + LENGTH_SIZE > found) return undefined;
    const length = head.view.getUint32(start, true);
    const isSmall =
      length > 0 && length <= MAX_TRIED_ENTRY && start + LENGTH_SIZE + length + TRAILER_SIZE <= image.size;
    if (!isSmall) return undefined;
    const [stored, plain] = [new Region(length + TRAILER_SIZE), new Region(length)];
    const isThere = file.read(stored, 0, stored.length, start + LENGTH_SIZE) === stored.length;
    const isOpen = isThere && key.open(stored, blobAt(0, length), plain, 0);
    wipe(plain.bytes);
    return isOpen;
  } finally {
    file.close();
  }
}

function startOfEntries(head: Region, length: number): number | undefined {
  try {
    return magicSize(new Region(head.bytes.subarray(0, length)));
  } catch {
    return undefined;
  }
}

function wrongKey(path: string, keys: readonly LayerKey[]): CkptfsError {
  const sources = [...new Set(keys.map(({ source }) => source))].join(', ');
  const isNoneRsa = keys.every(({ key }) => key.publicJwk.kty !== 'RSA');
  const why = isNoneRsa ? 'CRIU encrypts for RSA keys only' : 'none is the RSA key that it was encrypted for';
  return new CkptfsError('wrong-key', `${sources} cannot open ${path}: ${why}`, { path });
}
