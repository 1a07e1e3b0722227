import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { Counters } from '../../src/base/counters.ts';
import { CkptfsError } from '../../src/base/errors.ts';
import { Region } from '../../src/base/linux/native.ts';
import { type Image, openImage, readHeader } from '../../src/image/read/image.ts';
import { ImageReader } from '../../src/image/read/image-reader.ts';
import { ObjectReader } from '../../src/image/read/object-reader.ts';
import { ImageTree } from '../../src/image/read/tree.ts';
import { Coverage } from '../../src/image/verify/coverage.ts';
import { readKeyFile } from '../../src/keys/key-file.ts';
import { unwrapImageKey } from '../../src/keys/provider.ts';
import { symmetricKeyProvider } from '../../src/keys/symmetric-key.ts';
import { LocalStore } from '../../src/stores/local-store.ts';
import type { StoredObject } from '../../src/stores/store.ts';
import {
  type ExpectedDamage,
  frozenRoot,
  imageDirectory,
  imageNames,
  keyFile,
  listing,
  makeDamaged,
  recipes,
} from '../support/frozen-images.ts';
import { describeImage, pathsOf, readOrReason, readWhole } from '../support/image-content.ts';

const opened: { close(): void }[] = [];
afterEach(() => {
  for (const each of opened.splice(0)) each.close();
});

/** Lets what holds descriptors be closed after the test. */
function closedLater<T extends { close(): void }>(resource: T): T {
  opened.push(resource);
  return resource;
}

async function open(directory: string, bits: 128 | 192 | 256 = 256): Promise<Image> {
  const store = closedLater(new LocalStore(directory));
  const header = readHeader(store);
  const imageKey = (
    await unwrapImageKey(header.slots, header.imageId, [symmetricKeyProvider(readKeyFile(keyFile(bits)).key)])
  ).imageKey;
  return openImage(store, header, imageKey);
}

describe.each(imageNames)('frozen image %s', (name) => {
  test.each([128, 192, 256] as const)('opens with the key of %i bits and is what it was', async (bits) => {
    const image = await open(imageDirectory(name), bits);
    const { suite, compression, cipher } = image.header;
    expect(suite ?? compression ?? cipher).toBe(name);
    const byPath = (files: readonly { path: string }[]) => new Map(files.map((file) => [file.path, file]));
    expect(byPath(describeImage(image, closedLater(new ImageReader(image))))).toEqual(byPath(listing(name)));
  });

  test('reads the same in pieces of every kind', async () => {
    const image = await open(imageDirectory(name));
    for (const inode of image.manifest.inodes) {
      if (inode.type !== 'file') continue;
      const whole = readWhole(closedLater(new ImageReader(image)), inode);
      const reader = closedLater(new ImageReader(image, 1));
      for (const size of [1000, 4096, 40_000]) {
        const pieces: Buffer[] = [];
        const out = new Region(size);
        for (let offset = 0; offset < inode.size; offset += size) {
          const count = reader.read(inode, offset, size, out, 0);
          pieces.push(Buffer.from(out.bytes.subarray(0, count)));
        }
        expect(Buffer.concat(pieces).equals(whole)).toBe(true);
      }
    }
  });
});

test('an object whose file cannot be closed is none to stumble over', async () => {
  const image = await open(imageDirectory('none'));
  class Unclosable extends LocalStore {
    override openObject(id: string): StoredObject {
      const object = super.openObject(id);
      const close = (): void => {
        object.close();
        throw new Error('EIO');
      };
      return { size: object.size, read: object.read.bind(object), close };
    }
  }
  const reader = new ObjectReader({ ...image, store: new Unclosable(imageDirectory('none')) }, new Counters());
  for (const index of image.manifest.objects.keys()) reader.checkObject(index);
  expect(() => reader.close()).not.toThrow();
});

test('every file of the folder belongs to an image, a recipe or a key', () => {
  expect(fs.readdirSync(frozenRoot).sort()).toEqual(
    [...imageNames, 'damaged', 'key-128', 'key-192', 'key-256', 'signed'].sort(),
  );
  const all = recipes();
  const puts = [...all.values()].flatMap(({ changes }) =>
    changes.flatMap((change) => ('put' in change ? [change.bytes] : [])),
  );
  const found = fs.readdirSync(path.join(frozenRoot, 'damaged'));
  expect(found.sort()).toEqual([...[...all.keys()].map((name) => `${name}.json`), ...new Set(puts)].sort());
});

/** Faults in the words of `verify`, found without its threads. */
function faultsOf(image: Image): Omit<ExpectedDamage, 'file'>[] {
  const reader = closedLater(new ObjectReader(image, new Counters()));
  const room = new Region(reader.geometry.groupSize);
  const coverage = new Coverage(image.manifest, reader.geometry);
  return image.manifest.objects.flatMap((entry, at) => {
    const object = entry.id.toString('hex');
    try {
      reader.checkObject(at);
    } catch (error) {
      if (error instanceof CkptfsError && error.code === 'damaged') return [{ object, reason: error.message }];
      throw error;
    }
    const groups = Array.from({ length: reader.geometry.groupsFor(entry.chunks) }, (_, group) => group);
    return groups.flatMap((group) =>
      reader.faults(at, group, room, coverage.ofGroup(at, group)).map((fault) => ({ object, ...fault })),
    );
  });
}

describe('damaged', () => {
  let scratch: string;
  beforeAll(() => {
    scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'ckptfs-test-'));
  });
  afterAll(() => fs.rmSync(scratch, { recursive: true }));

  test.each([...recipes()])('%s', async (name, recipe) => {
    const directory = path.join(scratch, name);
    makeDamaged(recipe, directory);
    const { expected } = recipe;
    if ('open' in expected) {
      const { code, message } = expected.open;
      await expect(open(directory)).rejects.toMatchObject({ code, message: expect.stringContaining(message) });
      return;
    }
    const image = await open(directory);
    const reader = closedLater(new ImageReader(image));
    const good = await open(imageDirectory(recipe.base));
    const goodReader = closedLater(new ImageReader(good));
    const tree = new ImageTree(image.manifest);
    for (const [file, number] of pathsOf(tree)) {
      const inode = image.manifest.inodes[number - 1];
      if (inode?.type !== 'file') continue;
      const first = tree.pathOf(number).toString('latin1');
      const damage = expected.damage.filter((fault) => fault.file === first);
      const content = readOrReason(reader, inode);
      if (damage.length === 0) {
        expect([file, readWhole(goodReader, inode).equals(Buffer.from(content as Buffer))]).toEqual([file, true]);
      } else {
        expect(content).toContain(damage[0]?.object);
        expect(content).toContain(damage[0]?.reason);
      }
    }
    const known = expected.damage.filter(({ reason }) => reason !== 'does not belong');
    const places = (faults: readonly Omit<ExpectedDamage, 'file'>[]) =>
      [...new Set(faults.map(({ object, chunk }) => `${object} ${chunk ?? ''}`))].sort();
    expect(places(faultsOf(image))).toEqual(places(known));
  });
});
