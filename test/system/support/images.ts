import fs from 'node:fs';
import { join } from 'node:path';
import type { CreateOptions } from '../../../src/image/create/create.ts';
import type { Image } from '../../../src/image/read/image.ts';
import { built } from './mounts.ts';

/** Whole images made and opened by the built library, without the command line. */

const { createImage } = await built<typeof import('../../../src/image/create/create.ts')>('image/create/create.js');
const { writeNewHeader } =
  await built<typeof import('../../../src/image/create/new-header.ts')>('image/create/new-header.js');
const { openImage, readHeader } = await built<typeof import('../../../src/image/read/image.ts')>('image/read/image.js');
const { openStore, openWritableStore } =
  await built<typeof import('../../../src/stores/open-store.ts')>('stores/open-store.js');
const { Secret } = await built<typeof import('../../../src/crypto/secret.ts')>('crypto/secret.js');
const { symmetricKeyProvider } =
  await built<typeof import('../../../src/keys/symmetric-key.ts')>('keys/symmetric-key.js');
const { unwrapImageKey } = await built<typeof import('../../../src/keys/provider.ts')>('keys/provider.js');

/** The key of all images made by {@link create}. */
export const wrappingKey = Buffer.alloc(32, 0x6b);
const provider = symmetricKeyProvider(Secret.copy(wrappingKey));

/** Encrypts `source` under a key that all tests share. */
export async function create(source: string, destination: string, options: Partial<CreateOptions> = {}) {
  return createImage({
    source,
    destination,
    makeSlots: async (imageKey, imageId) => [await provider.wrap(imageKey, imageId)],
    ...options,
  });
}

/** Opens an image made by {@link create}. The caller wipes its key. */
export async function open(directory: string): Promise<Image> {
  const store = openStore(directory);
  const header = readHeader(store);
  const { imageKey } = await unwrapImageKey(header.slots, header.imageId, [provider]);
  return openImage(store, header, imageKey);
}

/**
 * Puts another header in the place of an image's: with the same id, and another image key, to which the key of all
 * images made by {@link create} leads.
 */
export async function forgeHeader(directory: string): Promise<void> {
  const store = openWritableStore(directory);
  const image = readHeader(store);
  await writeNewHeader(store, async (key, id) => [await provider.wrap(key, id)], Secret.random(32), image);
  store.close();
}

/** The key file that opens images made by {@link create} on the command line. */
export function writeKeyFile(path: string): void {
  fs.writeFileSync(path, `${wrappingKey.toString('hex')}\n`, { mode: 0o600 });
}

/** Bytes that the files of a directory take on disk. */
export function storedBytes(directory: string): number {
  const names = fs.readdirSync(directory, { recursive: true, encoding: 'utf8' });
  return names.reduce((sum, name) => sum + fs.statSync(join(directory, name)).blocks * 512, 0);
}
