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
const seal = (epoch: number, digit = 'a') => ({ epoch, manifest: digit.repeat(64) });
beforeEach(() => rmSync(path, { force: true }));
afterAll(() => rmSync(directory, { recursive: true }));

test('the highest epoch of each image is kept', async () => {
  expect(await recordEpoch(path, one, seal(3))).toBeUndefined();
  expect(await recordEpoch(path, two, seal(1))).toBeUndefined();
  expect(await recordEpoch(path, one, seal(5))).toEqual(seal(3));
  expect(await recordEpoch(path, one, seal(4))).toEqual(seal(5));
  expect(await recordEpoch(path, one, seal(5, 'b'))).toEqual(seal(5));
  expect(JSON.parse(readFileSync(path, 'utf8')).images).toEqual({ [one]: seal(5), [two]: seal(1) });
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(readdirSync(directory)).toEqual(['epochs']);
});

test('images that others took the place of are kept, through a chain, and nothing by an image that is refused', async () => {
  const [three, four] = ['3'.repeat(32), '4'.repeat(32)];
  await recordEpoch(path, one, seal(3));
  expect(await recordEpoch(path, two, seal(4), [one])).toBeUndefined();
  expect(await recordEpoch(path, one, seal(9), [two])).toEqual({ replacedBy: two });
  expect(await recordEpoch(path, two, seal(3), [four])).toEqual(seal(4));
  expect(await recordEpoch(path, two, seal(4, 'b'), [four])).toEqual(seal(4));
  expect(await recordEpoch(path, three, seal(5), [two, one])).toBeUndefined();
  expect(await recordEpoch(path, four, seal(4), [one])).toBeUndefined();
  expect(JSON.parse(readFileSync(path, 'utf8')).images).toEqual({
    [one]: { replacedBy: three },
    [two]: { replacedBy: three },
    [three]: seal(5),
    [four]: seal(4),
  });
});

test('an image that is seen again changes nothing, and one that says more is written', async () => {
  await recordEpoch(path, two, seal(4), [one]);
  const { ino } = statSync(path);
  await recordEpoch(path, two, seal(4), [one]);
  expect(statSync(path).ino).toBe(ino);
  rmSync(path);
  await recordEpoch(path, two, seal(4));
  await recordEpoch(path, two, seal(4), [one]);
  expect(await recordEpoch(path, one, seal(9))).toEqual({ replacedBy: two });
});

test('a file that would get too large is refused, and stays', async () => {
  const ids = Array.from({ length: 60_000 }, (_, at) => at.toString(16).padStart(32, '0'));
  const images = new Map(ids.map((id) => [id, seal(1)] as const));
  const text = textOfEpochs(images);
  const fitting = Math.floor((8 << 20) / (text.length / ids.length)) - 3;
  for (const id of ids.slice(fitting)) images.delete(id);
  writeFileSync(path, textOfEpochs(images));
  const { ino } = statSync(path);
  const many = Array.from({ length: 64 }, (_, at) => `f${at.toString(16).padStart(31, '0')}`);
  const failed = recordEpoch(path, two, seal(1), many);
  await expect(failed).rejects.toMatchObject({ code: 'io', data: { errno: 'EFBIG' } });
  expect(statSync(path).ino).toBe(ino);
});

test('several at once lose nothing', async () => {
  const ids = Array.from({ length: 20 }, (_, at) => at.toString(16).padStart(32, '0'));
  await Promise.all(ids.map((id, at) => recordEpoch(path, id, seal(at + 1))));
  expect(parseEpochs(readFileSync(path))?.size).toBe(20);
});

const oldText = `${JSON.stringify({ format: 'ckptfs epochs', version: 1, images: { [one]: 1 } }, null, 2)}\n`;
test.each(['{}', '[1]', 'null', '{"images":{}}', '{"format":"ckptfs epochs","version":1,"images":{"x":1}}', oldText])(
  'a file that holds %s is refused, and stays',
  async (text) => {
    writeFileSync(path, text);
    await expect(recordEpoch(path, one, seal(1))).rejects.toMatchObject({ code: 'damaged' });
    expect(readFileSync(path, 'utf8')).toBe(text);
  },
);

test('a link, a directory and a missing directory are refused', async () => {
  symlinkSync(join(directory, 'elsewhere'), path);
  await expect(recordEpoch(path, one, seal(1))).rejects.toMatchObject({ code: 'io', data: { errno: 'ELOOP' } });
  await expect(recordEpoch(directory, one, seal(1))).rejects.toMatchObject({ code: 'io', data: { errno: 'EISDIR' } });
  await expect(recordEpoch(join(directory, 'no', 'file'), one, seal(1))).rejects.toMatchObject({ code: 'io' });
});

test('parse is the inverse of text, and takes nothing else', () => {
  const manifest = fc.stringMatching(/^[0-9a-f]{64}$/);
  const seals = fc.record({ epoch: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }), manifest });
  const ids = fc.stringMatching(/^[0-9a-f]{32}$/);
  fc.assert(
    fc.property(fc.dictionary(ids, fc.oneof(seals, fc.record({ replacedBy: ids }))), (images) => {
      const epochs = new Map(Object.entries(images));
      expect(parseEpochs(Buffer.from(textOfEpochs(epochs)))).toEqual(epochs);
      expect(parseEpochs(Buffer.from(`${textOfEpochs(epochs)} `))).toBeUndefined();
    }),
  );
});
