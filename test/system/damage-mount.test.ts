// Goal: no read through a mount gives a byte that was not authenticated.
// Method: a sample of the flips of damage.test.ts, read through the kernel.
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect } from 'vitest';
import { filler } from '../../scripts/vectors/encode.ts';
import { Random } from '../fuzz/random.ts';
import { ckptfs, runCkptfs } from './support/ckptfs.ts';
import { create, open, writeKeyFile } from './support/images.ts';
import { clear } from './support/mounts.ts';
import { describeIf, systemTest } from './support/requirements.ts';
import { type Place, type PlaceKind, placesOf } from './support/stored-places.ts';

const SEED = 20_240_301;
const kinds: readonly PlaceKind[] = [
  'header',
  'manifest',
  'object header',
  'tag page',
  'chunk',
  'chunk',
  'chunk',
  'hole',
];
const sizes = {
  'pages-1.img': 130_005,
  'pages-2.img': 70_001,
  'core-1.img': 3000,
  'core-2.img': 9000,
  'inventory.img': 44,
};

describeIf(['root', 'fuse'], 'one bit flipped anywhere, and mounted', () => {
  let base: string;
  let image: string;
  let mountPoint: string;
  let places: readonly Place[];

  beforeAll(async () => {
    base = fs.realpathSync(fs.mkdtempSync(join(tmpdir(), 'ckptfs-damage-')));
    [image, mountPoint] = [join(base, 'image'), join(base, 'mnt')];
    fs.mkdirSync(join(base, 'source'));
    fs.mkdirSync(mountPoint);
    for (const [name, size] of Object.entries(sizes)) fs.writeFileSync(join(base, 'source', name), filler(name, size));
    writeKeyFile(join(base, 'key'));
    await create(join(base, 'source'), image);
    places = placesOf(await open(image), fs.statSync(join(image, 'ckptfs.json')).size);
  });
  afterEach(() => clear(mountPoint));
  afterAll(() => fs.rmSync(base, { recursive: true }));

  function flip(file: string, offset: number, bit: number): void {
    const fd = fs.openSync(join(image, file), 'r+');
    const byte = Buffer.alloc(1);
    fs.readSync(fd, byte, 0, 1, offset);
    fs.writeSync(fd, Buffer.of(byte.readUInt8() ^ (1 << bit)), 0, 1, offset);
    fs.closeSync(fd);
  }

  /**
   * Each file read as programs do: in pieces. What is given is right; the number of pieces that gave EIO. The kernel
   * may give the bytes in front of a bad page first, as with any disk, but never none of them.
   */
  function readAll(random: Random): number {
    let failures = 0;
    for (const [name, size] of Object.entries(sizes)) {
      const expected = filler(name, size);
      const fd = fs.openSync(join(mountPoint, name), 'r');
      const step = random.pick([4096, 10_000, 131_072]);
      for (let at = 0; at < size; ) {
        const piece = Buffer.alloc(Math.min(step, size - at));
        const count = readOrFail(fd, piece, at);
        if (count === 'EIO') failures++;
        else {
          expect(count).toBeGreaterThan(0);
          expect(piece.subarray(0, count).equals(expected.subarray(at, at + count))).toBe(true);
        }
        at += count === 'EIO' ? piece.length : count;
      }
      fs.closeSync(fd);
    }
    return failures;
  }

  function readOrFail(fd: number, piece: Buffer, at: number): number | 'EIO' {
    try {
      return fs.readSync(fd, piece, 0, piece.length, at);
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'EIO') return 'EIO';
      throw error;
    }
  }

  systemTest(
    [],
    'EIO or the right bytes, never an early end; a header or manifest that is damaged is not mounted',
    () => {
      for (let index = 0; index < 40; index++) {
        const random = new Random(SEED, index);
        const kind = random.pick(kinds);
        const place = random.pick(places.filter((each) => each.kind === kind));
        const [offset, bit] = [place.start + random.below(place.end - place.start), random.below(8)];
        flip(place.file, offset, bit);
        const { status, stderr } = runCkptfs('mount', image, mountPoint, '--key-file', join(base, 'key'));
        const what = `${kind}, offset ${offset}, bit ${bit}: ${stderr}`;
        if (kind === 'header' || kind === 'manifest') {
          expect([what, status !== 0]).toEqual([what, true]);
        } else {
          expect([what, status]).toEqual([what, 0]);
          const failures = readAll(random);
          expect([what, failures > 0]).toEqual([what, kind !== 'hole']);
          ckptfs('umount', mountPoint);
        }
        flip(place.file, offset, bit);
      }
      ckptfs('mount', image, mountPoint, '--key-file', join(base, 'key'));
      expect(readAll(new Random(SEED, -1))).toBe(0);
      ckptfs('umount', mountPoint);
    },
  );
});
