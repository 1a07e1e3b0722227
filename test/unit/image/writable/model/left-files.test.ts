import { expect, test } from 'vitest';
import { Region } from '../../../../../src/base/linux/native.ts';
import { sealImage } from '../../../../../src/image/writable/close-unsealed.ts';
import { openWritable } from '../../../../../src/image/writable/open-writable.ts';
import type { WritableImage } from '../../../../../src/image/writable/writable-image.ts';
import { newImage } from '../session.ts';

const owner = { mode: 0o700, uid: 0, gid: 0 };

function make(image: WritableImage, name: string, text: string, isClosed: boolean, parent = 1): number {
  const number = image.create(parent, Buffer.from(name), owner);
  if (text !== '') image.write(number, 0, text.length, new Region(Buffer.from(text)), 0);
  if (isClosed) image.unstored.closed(number);
  image.commit();
  return number;
}

/** What sealing says of an image whose writer ended after `work`. */
async function warningsAfter(work: (image: WritableImage) => void): Promise<string[]> {
  const { store, header, imageKey } = await newImage('aes-256-xts', 4096);
  const image = openWritable(store, header, imageKey);
  work(image);
  image.close();
  const warnings: string[] = [];
  sealImage(store, header, imageKey, (line) => warnings.push(line));
  return warnings;
}

test('names what was open, and what was left empty, but nothing that was closed', async () => {
  const warnings = await warningsAfter((image) => {
    make(image, 'closed', 'x', true);
    make(image, 'closed and empty', '', true);
    make(image, 'open', 'x', false);
    make(image, 'empty\n', '', false);
    const again = make(image, 'again', 'x', true);
    image.write(again, 1, 1, new Region(1), 0);
    image.commit();
  });
  expect(warnings).toEqual([
    'open when the writer ended, so what was written last may be missing: "open" and "again"',
    'open when the writer ended, and empty: "empty\\n"',
  ]);
});

test('names ten files, and says how many more there are', async () => {
  const warnings = await warningsAfter((image) => {
    for (let at = 0; at < 14; at++) make(image, `f${at}`, 'x', false);
  });
  expect(warnings).toEqual([
    expect.stringMatching(/missing: "f0", "f1", "f2", "f3", "f4", "f5", "f6", "f7", "f8", "f9" and 4 more$/),
  ]);
});

test('shows the end of a very long path', async () => {
  const warnings = await warningsAfter((image) => {
    let parent = 1;
    for (let at = 0; at < 30; at++) parent = image.mkdir(parent, Buffer.from('d'.repeat(200)), owner);
    make(image, 'f', 'x', false, parent);
  });
  expect(warnings[0]).toMatch(/: "…d+\/d+\/f"$/);
  expect(warnings[0]?.length).toBeLessThan(400);
});

test.each([
  [['core-1.img', 'pages-1.img'], true],
  [['pstree.img'], true],
  [['pagemap-12.img'], true],
  [['core-1.img', 'inventory.img'], false],
  [['dump.log', 'stats-dump'], false],
  [['core-dump.img.gz'], false],
])('says that a dump of %s is not complete: %s', async (names, isUnended) => {
  const warnings = await warningsAfter((image) => {
    const directory = image.mkdir(1, Buffer.from('d'), owner);
    for (const name of names) {
      make(image, name, 'x', true);
      make(image, name, 'x', true, directory);
    }
  });
  const rest = 'looks like a CRIU dump without its inventory.img: the dump is not complete';
  expect(warnings).toEqual(isUnended ? [`the image ${rest}`, `"d" ${rest}`] : []);
});

test('a writer that goes on is told how many, but no names, since logs are in clear; then it is forgotten', async () => {
  const { store, header, imageKey } = await newImage('aes-256-xts', 4096);
  const first = openWritable(store, header, imageKey);
  make(first, 'open', 'x', false);
  first.close();
  const warning = 'one file was open when the writer before this one ended; what was written last may be missing';
  for (const expected of [[warning], []]) {
    const warnings: string[] = [];
    openWritable(store, header, imageKey, { onWarning: (line) => warnings.push(line) }).close();
    expect(warnings.filter((line) => line.includes('open'))).toEqual(expected);
  }
});
