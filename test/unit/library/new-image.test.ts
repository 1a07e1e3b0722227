import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { Secret } from '../../../src/crypto/secret.ts';
import { createImage } from '../../../src/image/create/create.ts';
import { symmetricKeyProvider } from '../../../src/keys/symmetric-key.ts';
import { slotsFor } from '../../../src/library/key-slots.ts';
import { createEmptyImage } from '../../../src/library/new-image.ts';

const directory = mkdtempSync(join(tmpdir(), 'ckptfs-new-'));
const source = join(directory, 'source');
mkdirSync(source);
writeFileSync(join(source, 'file'), 'x');
afterAll(() => rmSync(directory, { recursive: true }));

const makeSlots = slotsFor(new Array(65).fill(symmetricKeyProvider(Secret.random(32))));
const tooMany = { code: 'bad-argument', message: '65 key slots: an image has 1 to 64' };

test.each([
  ['a directory', (destination: string) => createImage({ source, destination, makeSlots, jobs: 1 })],
  ['nothing', (destination: string) => createEmptyImage({ destination, makeSlots })],
])('an image of %s for more recipients than there can be makes no directory', async (_what, make) => {
  const absent = join(directory, 'absent');
  await expect(make(absent)).rejects.toMatchObject(tooMany);
  expect(existsSync(absent)).toBe(false);
  const empty = mkdtempSync(join(directory, 'empty-'));
  await expect(make(empty)).rejects.toMatchObject(tooMany);
  expect(readdirSync(empty)).toEqual([]);
});
