import { deriveObjectDataKey } from '../../../src/crypto/image-keys.ts';
import { primitives } from '../../../src/crypto/select.ts';
import { openImage, readHeader } from '../../../src/image/read/image.ts';
import { readKeyFile } from '../../../src/keys/key-file.ts';
import { unwrapImageKey } from '../../../src/keys/provider.ts';
import { symmetricKeyProvider } from '../../../src/keys/symmetric-key.ts';
import { LocalStore } from '../../../src/stores/local-store.ts';
import type { Needles } from '../../support/memory.ts';
import type { Encrypted } from './mounts.ts';

/** The image key and the keys of all objects of an image, and what its files have. */
export async function secretsOf(
  { image, keyFile }: Pick<Encrypted, 'image' | 'keyFile'>,
  contents: string,
): Promise<Needles> {
  const store = new LocalStore(image);
  const header = readHeader(store);
  const { imageId, slots, cipher } = header;
  const { imageKey } = await unwrapImageKey(slots, imageId, [symmetricKeyProvider(readKeyFile(keyFile).key, 'key')]);
  if (cipher === 'none') throw new Error('not for none');
  const needles: Record<string, Buffer> = {
    'image key': Buffer.from(imageKey.bytes),
    contents: Buffer.from(contents),
  };
  for (const [at, { id }] of openImage(store, header, imageKey).manifest.objects.entries()) {
    const key = Buffer.from(deriveObjectDataKey(primitives(), cipher, imageKey, imageId, id).bytes);
    needles[`data key ${at}`] = key.subarray(0, key.length / 2);
  }
  store.close();
  return needles;
}
