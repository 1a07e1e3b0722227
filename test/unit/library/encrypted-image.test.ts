import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { readKeyFile } from '../../../src/keys/key-file.ts';
import { symmetricKeyProvider } from '../../../src/keys/symmetric-key.ts';
import { EncryptedImage } from '../../../src/library/encrypted-image.ts';

const at = (name: string): string => fileURLToPath(new URL(`../../images/v1/${name}`, import.meta.url));

test('a closed image says so, whatever it is asked, and may be closed again', async () => {
  const { key } = readKeyFile(at('key-256'));
  const image = await EncryptedImage.open(at('aes-256-xts/image'), { keys: [symmetricKeyProvider(key)] });
  expect(image.readAt('core-1.img', 0, Buffer.alloc(8))).toBe(8);
  image.close();
  image.close();
  const closed = expect.objectContaining({ code: 'bad-argument', message: expect.stringContaining('closed') });
  const uses: readonly (() => unknown)[] = [
    () => image.imageId,
    () => image.describe(),
    () => image.stat(''),
    () => image.list(),
    () => image.readAt('core-1.img', 0, Buffer.alloc(8)),
  ];
  for (const use of uses) expect(use).toThrow(closed);
  await expect(image.verify()).rejects.toEqual(closed);
  await expect(image.extract('/nowhere')).rejects.toEqual(closed);
  key.wipe();
});
