// Goal: files of holes, which take no space where they are stored, take no memory without end.
import { truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { Directory } from '../../../src/base/linux/directory.ts';
import { Allowance } from '../../../src/criu/allowance.ts';
import { CriuLayer } from '../../../src/criu/layer.ts';
import { MAGICS, u32 } from '../../support/criu-encryption.ts';
import { MadeLayers, PAGES_KEY, sealedImage, TOKEN } from '../../support/made-criu-layer.ts';

const made = new MadeLayers();

afterEach(() => made.end());

/** Opens a directory, and returns its problems. */
function problems(directory: string, allowance: Allowance): (string | undefined)[] {
  const held = Directory.open(directory);
  try {
    const layer = CriuLayer.open(held, Buffer.concat([TOKEN, PAGES_KEY]), allowance);
    layer.close();
    CriuLayer.wipeShared(layer.shared);
    return layer.files.map(({ problem }) => problem);
  } finally {
    held.close();
  }
}

test('ghost files have so many records together, and the others stay readable', () => {
  const directory = made.make({ 'mm-1.img': sealedImage(Buffer.of(8, 1)) });
  for (const number of [1, 2, 3]) {
    const ghost = path.join(directory, `ghost-file-${number}.img`);
    writeFileSync(ghost, Buffer.concat([MAGICS, u32(0)]));
    truncateSync(ghost, 12 + 10 * 4132);
  }
  const refused = 'it has more pieces than can be opened';
  expect(problems(directory, new Allowance(1000, 26))).toEqual([undefined, undefined, refused, undefined]);
});

test('images that are held have so many bytes together', () => {
  const image = sealedImage(Buffer.of(8, 1));
  const [one, other] = [made.make({ 'mm-1.img': image }), made.make({ 'mm-1.img': image })];
  const allowance = new Allowance(2 * image.length - 1);
  expect(problems(one, allowance)).toEqual([undefined]);
  expect(() => problems(other, allowance)).toThrow(expect.objectContaining({ code: 'unsupported-source' }));
});
