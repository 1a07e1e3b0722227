// Goal: what is encrypted comes back the same, in every cipher and size.
// Method: the built library encrypts trees with every kind of file, reads, verifies and extracts them.
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { describeTree, makeSourceTree } from '../../scripts/images/source-tree.ts';
import { filler } from '../../scripts/vectors/encode.ts';
import { dataRanges } from '../../src/base/linux/files.ts';
import { cipherNames } from '../../src/format/ciphers.ts';
import { compressionNames } from '../../src/format/compressions.ts';
import { type ListedFile, without } from '../support/frozen-images.ts';
import { describeImage } from '../support/image-content.ts';
import { create, open, storedBytes, wrappingKey } from './support/images.ts';
import { built } from './support/mounts.ts';
import { runProgram } from './support/programs.ts';
import { describeIf } from './support/requirements.ts';

const { extractImage } = await built<typeof import('../../src/image/extract/extract.ts')>('image/extract/extract.js');
const { ImageReader } =
  await built<typeof import('../../src/image/read/image-reader.ts')>('image/read/image-reader.js');
const { verifyImage } = await built<typeof import('../../src/image/verify/verify.ts')>('image/verify/verify.js');
const { Region } = await built<typeof import('../../src/base/linux/native.ts')>('base/linux/native.js');

const chunkSizes = [4096, 8192, 16384, 32768, 65536];

let base: string;
let count = 0;
beforeAll(() => {
  base = fs.mkdtempSync(join(tmpdir(), 'ckptfs-image-'));
});
afterAll(() => fs.rmSync(base, { recursive: true }));

function fresh(what: string): string {
  return join(base, `${what}-${count++}`);
}

function bySortedPath(files: readonly ListedFile[]): ListedFile[] {
  return [...files].sort((a, b) => Buffer.compare(Buffer.from(a.path, 'latin1'), Buffer.from(b.path, 'latin1')));
}

describeIf(['root'], 'a tree of everything', () => {
  let source: string;
  beforeAll(() => {
    source = fresh('source');
    makeSourceTree(source);
    // More than one group of every chunk size but the largest, and no whole number of sectors.
    fs.writeFileSync(join(source, 'big.img'), filler('big.img', 5_000_001));
    // Listing a directory changes its atime once, and not again within a day (relatime).
    for (let times = 0; times < 2; times++) describeTree(source);
  });

  const combinations = cipherNames.flatMap((cipher) => chunkSizes.map((chunkSize) => ({ cipher, chunkSize })));
  const compressed = compressionNames.map((name) => ({ compression: { name } }));
  test.each([...combinations, ...compressed])('%j is the same when read and when extracted', async (options) => {
    const image = fresh('image');
    const target = fresh('target');
    const expected = bySortedPath(describeTree(source));
    const created = await create(source, image, { ...options, jobs: 2 });
    const opened = await open(image);
    const { compression, ...lasting } = { compression: undefined, ...options };
    expect(opened.header).toMatchObject({ ...lasting, ...(compression && { compression: compression.name }) });
    expect(opened.header.imageId.toString('hex')).toBe(created.imageId);
    const reader = new ImageReader(opened);
    expect(bySortedPath(describeImage(opened, reader))).toEqual(expected);
    reader.close();
    await extractImage(opened, target, { jobs: 2 });
    expect(without(bySortedPath(describeTree(target)), 'ctime')).toEqual(without(expected, 'ctime'));
    expect((await verifyImage(opened, { jobs: 2 })).damage).toEqual([]);
    expect(created.files).toBe(expected.filter(({ type, path }) => type === 'file' && path !== 'a/b/hard link').length);
  });

  test('two images of one tree share no id and no stored byte', async () => {
    const [first, second] = [fresh('image'), fresh('image')];
    await create(source, first);
    await create(source, second);
    const ids = await Promise.all(
      [first, second].map(async (image) => (await open(image)).header.imageId.toString('hex')),
    );
    expect(ids[0]).not.toBe(ids[1]);
    const objectNames = [first, second].map((image) => fs.readdirSync(join(image, 'objects'), { recursive: true }));
    const files = objectNames.map((names) =>
      names
        .map(String)
        .filter((name) => name.length > 30)
        .map((name) => name.slice(3)),
    );
    expect(files[0]?.filter((name) => files[1]?.includes(name))).toEqual([]);
  });

  test('the image holds nothing of the plaintext, no name and no key', async () => {
    const image = fresh('image');
    await create(source, image);
    const stored = fs
      .readdirSync(image, { recursive: true, encoding: 'utf8' })
      .map((name) => join(image, name))
      .filter((path) => fs.statSync(path).isFile())
      .map((path) => fs.readFileSync(path));
    const names = ['pages-1.img', 'inventory.img', 'user.first'].map((text) => Buffer.from(text));
    const contents = [filler('big.img', 5_000_001).subarray(1_000_000, 1_000_016), filler('inventory.img', 16)];
    const keys = [Buffer.from((await open(image)).imageKey.bytes), wrappingKey];
    const canaries = [...names, ...contents, ...keys];
    for (const bytes of stored) for (const canary of canaries) expect(bytes.includes(canary)).toBe(false);
  });
});

describe('sizes', () => {
  test('an empty directory is kept', async () => {
    const [source, image, target] = [fresh('source'), fresh('image'), fresh('target')];
    fs.mkdirSync(source, 0o750);
    for (let times = 0; times < 2; times++) describeTree(source);
    const expected = describeTree(source);
    await create(source, image);
    await extractImage(await open(image), target);
    expect(without(describeTree(target), 'ctime')).toEqual(without(expected, 'ctime'));
    expect(fs.readdirSync(join(image, 'objects'))).toEqual([]);
  });

  test('a sparse file of 1 TiB keeps its holes, its size and its data', async () => {
    const [source, image, target] = [fresh('source'), fresh('image'), fresh('target')];
    const size = 2 ** 40 + 1;
    const places = [0, 2 ** 32 - 100, 2 ** 39 + 4096, 2 ** 40];
    fs.mkdirSync(source);
    const fd = fs.openSync(join(source, 'pages-1.img'), 'w');
    fs.ftruncateSync(fd, size);
    for (const place of places) fs.writeSync(fd, filler(`at ${place}`, 200), 0, Math.min(200, size - place), place);
    const ranges = [...dataRanges(fd, size)];
    fs.closeSync(fd);
    await create(source, image);
    expect(storedBytes(image)).toBeLessThan(1 << 20);
    const opened = await open(image);
    const file = opened.manifest.inodes[1];
    if (file?.type !== 'file') throw new Error('no file');
    const reader = new ImageReader(opened);
    const out = new Region(200);
    for (const place of places) {
      const length = Math.min(200, size - place);
      expect(reader.read(file, place, 200, out, 0)).toBe(length);
      expect(out.bytes.subarray(0, length).equals(filler(`at ${place}`, length))).toBe(true);
    }
    expect(reader.read(file, 2 ** 38, 200, out, 0)).toBe(200);
    expect(out.bytes.equals(Buffer.alloc(200))).toBe(true);
    reader.close();
    await extractImage(opened, target);
    const extracted = fs.openSync(join(target, 'pages-1.img'), 'r');
    expect(fs.fstatSync(extracted).size).toBe(size);
    expect([...dataRanges(extracted, size)]).toEqual(ranges);
    fs.readSync(extracted, out.bytes, 0, 200, places[2] ?? 0);
    expect(out.bytes.equals(filler(`at ${places[2]}`, 200))).toBe(true);
    fs.closeSync(extracted);
  });

  test('a file keeps its contents, times and mode under the first of its names that can be made', async () => {
    const [source, image, target] = [fresh('source'), fresh('image'), fresh('target')];
    const contents = filler('pages', 100_000);
    fs.mkdirSync(source);
    fs.writeFileSync(join(source, 'a'), contents, { mode: 0o640 });
    for (const name of ['b', 'c']) fs.linkSync(join(source, 'a'), join(source, name));
    fs.utimesSync(join(source, 'a'), 1000, 1000);
    await create(source, image);
    const opened = await open(image);
    // As for a file system that refuses a name which another one had.
    const [first, ...others] = opened.manifest.entries;
    if (first === undefined) throw new Error('no entries');
    const entries = [{ ...first, name: Buffer.alloc(300, 'a') }, ...others];
    const { losses } = await extractImage({ ...opened, manifest: { ...opened.manifest, entries } }, target);
    expect(losses).toMatchObject([{ kind: 'entry', count: 1, examples: [{ reason: 'ENAMETOOLONG' }] }]);
    expect(fs.readdirSync(target).sort()).toEqual(['b', 'c']);
    expect(fs.readFileSync(join(target, 'c')).equals(contents)).toBe(true);
    expect(fs.statSync(join(target, 'b'))).toMatchObject({ nlink: 2, mtimeMs: 1_000_000, mode: 0o100640 });
  });

  test('1,000 small files share one object', async () => {
    const [source, image, target] = [fresh('source'), fresh('image'), fresh('target')];
    fs.mkdirSync(source);
    // More than a group of them.
    for (let at = 0; at < 1000; at++)
      fs.writeFileSync(join(source, `core-${at}.img`), filler(`${at}`, (at * 13) % 3600));
    for (let times = 0; times < 2; times++) describeTree(source);
    const expected = describeTree(source);
    await create(source, image);
    expect((await open(image)).manifest.objects.length).toBe(1);
    await extractImage(await open(image), target);
    expect(without(describeTree(target), 'ctime')).toEqual(without(expected, 'ctime'));
  });
});

describe('sizes above what a number holds, on tmpfs', () => {
  const shared = '/dev/shm';
  let directory: string;
  beforeAll(() => {
    directory = fs.mkdtempSync(join(shared, 'ckptfs-image-'));
    fs.mkdirSync(join(directory, 'source'));
  });
  afterAll(() => fs.rmSync(directory, { recursive: true }));

  const truncate = (size: bigint) => {
    const path = join(directory, 'source', 'pages-1.img');
    fs.writeFileSync(path, '');
    runProgram('truncate', '--size', String(size), path);
  };

  test.each([2n ** 53n, 2n ** 53n + 1n, 2n ** 63n - 1n])('a file of %i bytes is refused, not rounded', async (size) => {
    truncate(size);
    await expect(create(join(directory, 'source'), join(directory, 'image'))).rejects.toMatchObject({
      code: 'unsupported-source',
      message: expect.stringContaining(`${size} bytes`),
    });
    expect(fs.existsSync(join(directory, 'image'))).toBe(false);
  });

  test('a file of 2^53 - 1 bytes is kept', async () => {
    truncate(2n ** 53n - 1n);
    fs.appendFileSync(join(directory, 'source', 'other.img'), 'x');
    await create(join(directory, 'source'), join(directory, 'kept'));
    const opened = await open(join(directory, 'kept'));
    expect(opened.manifest.inodes.map((inode) => inode.type === 'file' && inode.size)).toContain(2 ** 53 - 1);
    await extractImage(opened, join(directory, 'target'));
    expect(fs.statSync(join(directory, 'target', 'pages-1.img'), { bigint: true }).size).toBe(2n ** 53n - 1n);
  });
});
