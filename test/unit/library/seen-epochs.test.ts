import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeEach, expect, test } from 'vitest';
import { parseEpochs, textOfEpochs } from '../../../src/library/epoch-text.ts';
import { recordEpoch } from '../../../src/library/seen-epochs.ts';

const directory = mkdtempSync(join(tmpdir(), 'ckptfs-epochs-'));
const path = join(directory, 'epochs');
const [one, two] = ['1'.repeat(32), '2'.repeat(32)];
beforeEach(() => rmSync(path, { force: true }));
afterAll(() => rmSync(directory, { recursive: true }));

test('the highest epoch of each image is kept', async () => {
  expect(await recordEpoch(path, one, 3)).toBe(0);
  expect(await recordEpoch(path, two, 1)).toBe(0);
  expect(await recordEpoch(path, one, 5)).toBe(3);
  expect(await recordEpoch(path, one, 4)).toBe(5);
  expect(JSON.parse(readFileSync(path, 'utf8')).images).toEqual({ [one]: 5, [two]: 1 });
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(readdirSync(directory)).toEqual(['epochs']);
});

test('several at once lose nothing', async () => {
  const ids = Array.from({ length: 20 }, (_, at) => at.toString(16).padStart(32, '0'));
  await Promise.all(ids.map((id, at) => recordEpoch(path, id, at + 1)));
  expect(parseEpochs(readFileSync(path))?.size).toBe(20);
});

test.each(['{}', '[1]', 'null', '{"images":{}}', '{"format":"ckptfs epochs","version":1,"images":{"x":1}}'])(
  'a file that holds %s is refused, and stays',
  async (text) => {
    writeFileSync(path, text);
    await expect(recordEpoch(path, one, 1)).rejects.toMatchObject({ code: 'damaged' });
    expect(readFileSync(path, 'utf8')).toBe(text);
  },
);

test('a link, a directory and a missing directory are refused', async () => {
  symlinkSync(join(directory, 'elsewhere'), path);
  await expect(recordEpoch(path, one, 1)).rejects.toMatchObject({ code: 'io', data: { errno: 'ELOOP' } });
  await expect(recordEpoch(directory, one, 1)).rejects.toMatchObject({ code: 'io', data: { errno: 'EISDIR' } });
  await expect(recordEpoch(join(directory, 'no', 'file'), one, 1)).rejects.toMatchObject({ code: 'io' });
});

test('parse is the inverse of text, and takes nothing else', () => {
  const ids = fc.stringMatching(/^[0-9a-f]{32}$/);
  fc.assert(
    fc.property(fc.dictionary(ids, fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER })), (images) => {
      const epochs = new Map(Object.entries(images));
      expect(parseEpochs(Buffer.from(textOfEpochs(epochs)))).toEqual(epochs);
      expect(parseEpochs(Buffer.from(`${textOfEpochs(epochs)} `))).toBeUndefined();
    }),
  );
});
