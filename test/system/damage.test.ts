// Goal: no reader gives a byte that was not authenticated, wherever an image was changed.
// Method: bits are flipped in every kind of byte of an image, one at a time; the built library opens, reads and
// verifies it.
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { filler } from '../../scripts/vectors/encode.ts';
import type { Compression } from '../../src/compression/chunk-compressor.ts';
import type { CipherName } from '../../src/format/ciphers.ts';
import { Geometry, SECTOR_SIZE } from '../../src/format/geometry.ts';
import type { Image } from '../../src/image/read/image.ts';
import type { Damage } from '../../src/image/verify/verify.ts';
import { Random } from '../fuzz/random.ts';
import { pathsOf, readOrReason } from '../support/image-content.ts';
import { create, open } from './support/images.ts';
import { built } from './support/mounts.ts';
import { type Place, type PlaceKind, placesOf } from './support/stored-places.ts';

const { Coverage } = await built<typeof import('../../src/image/verify/coverage.ts')>('image/verify/coverage.js');
const { ImageReader } =
  await built<typeof import('../../src/image/read/image-reader.ts')>('image/read/image-reader.js');
const { ImageTree } = await built<typeof import('../../src/image/read/tree.ts')>('image/read/tree.js');
const { ObjectReader } =
  await built<typeof import('../../src/image/read/object-reader.ts')>('image/read/object-reader.js');
const { verifyImage } = await built<typeof import('../../src/image/verify/verify.ts')>('image/verify/verify.js');
const { Counters } = await built<typeof import('../../src/base/counters.ts')>('base/counters.js');
const { Region } = await built<typeof import('../../src/base/linux/native.ts')>('base/linux/native.js');

/** The seed of the flips: every run flips the same bits, and another seed flips others. */
const SEED = 20_240_229;
const kinds: readonly PlaceKind[] = ['header', 'manifest', 'object header', 'tag page', 'chunk', 'hole'];
/** The count for a hundred flips. */
const weights: Readonly<Record<PlaceKind, number>> = {
  header: 10,
  manifest: 10,
  'object header': 12,
  'tag page': 25,
  chunk: 38,
  hole: 5,
};

interface Flip {
  readonly place: Place;
  readonly offset: number;
  readonly bit: number;
}

function makeSource(source: string): void {
  fs.mkdirSync(join(source, 'sub'), { recursive: true });
  // A little more than one group of the smallest chunks.
  fs.writeFileSync(join(source, 'pages-1.img'), filler('pages-1.img', 130 * 4096 + 5));
  fs.writeFileSync(join(source, 'pages-2.img'), filler('pages-2.img', 70_001));
  for (let at = 0; at < 20; at++)
    fs.writeFileSync(join(source, 'sub', `core-${at}.img`), filler(`core ${at}`, at * 97));
}

/** An image whose bits are flipped in place, one at a time. */
class Subject {
  readonly directory: string;
  readonly image: Image;
  readonly contents = new Map<string, Buffer>();
  readonly places: readonly Place[];
  /** Each as often as it weighs; one-sector chunks leave no holes. */
  readonly #kinds: readonly PlaceKind[];

  constructor(directory: string, image: Image) {
    this.directory = directory;
    this.image = image;
    this.places = placesOf(image, fs.statSync(join(directory, 'ckptfs.json')).size);
    const found = kinds.filter((kind) => this.places.some((place) => place.kind === kind));
    this.#kinds = found.flatMap((kind) => Array<PlaceKind>(weights[kind]).fill(kind));
    const reader = new ImageReader(image);
    for (const [path, inode] of this.files(image)) this.contents.set(path, readOrReason(reader, inode) as Buffer);
    reader.close();
  }

  *files(image: Image) {
    for (const [path, number] of pathsOf(new ImageTree(image.manifest))) {
      const inode = image.manifest.inodes[number - 1];
      if (inode?.type === 'file') yield [path, inode] as const;
    }
  }

  pick(random: Random): Flip {
    const kind = random.pick(this.#kinds);
    const place = random.pick(this.places.filter((each) => each.kind === kind));
    return { place, offset: place.start + random.below(place.end - place.start), bit: random.below(8) };
  }

  async whileFlipped<T>({ place, offset, bit }: Flip, body: () => Promise<T>): Promise<T> {
    const fd = fs.openSync(join(this.directory, place.file), 'r+');
    const byte = Buffer.alloc(1);
    const write = (value: number): void => {
      fs.writeSync(fd, Buffer.of(value), 0, 1, offset);
    };
    try {
      fs.readSync(fd, byte, 0, 1, offset);
      write(byte.readUInt8() ^ (1 << bit));
      return await body();
    } finally {
      write(byte.readUInt8());
      fs.closeSync(fd);
    }
  }

  /** The files that have bytes in a place of an object. @param sector of a chunk; by default all of it */
  filesAt({ object, chunk, kind, isCompressed = false }: Place, damagedSector?: number): Set<string> {
    const sector = isCompressed ? undefined : damagedSector;
    const { chunkSize, groupSize } = new Geometry(this.image.header.chunkSize);
    const start = (chunk ?? 0) * chunkSize;
    const size = kind === 'object header' ? Infinity : kind === 'tag page' ? groupSize : chunkSize;
    const first = start + (sector ?? 0) * SECTOR_SIZE;
    const end = sector === undefined ? start + size : first + SECTOR_SIZE;
    const hit = [...this.files(this.image)].filter(([, { extents }]) =>
      extents.some((e) => e.object === object && e.objectOffset < end && e.objectOffset + e.length > first),
    );
    return new Set(hit.map(([path]) => path));
  }
}

/** Opening fails with one of these, or the place is one that an opened image has. */
const openErrors: Readonly<Partial<Record<PlaceKind, readonly string[]>>> = {
  header: ['not-an-image', 'unsupported-format', 'damaged', 'wrong-key'],
  manifest: ['damaged'],
};

/** Reads everything while a bit is flipped. Returns what is not as it must be, or undefined. */
async function faultOf(subject: Subject, flip: Flip): Promise<string | undefined> {
  const { place } = flip;
  const refusals = openErrors[place.kind];
  let image: Image;
  try {
    image = await open(subject.directory);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    return refusals?.includes(code) === true ? undefined : `opening gives ${code}`;
  }
  try {
    if (refusals !== undefined) return 'it opens';
    return readFault(subject, image, flip) ?? verifyFault(image, place);
  } finally {
    image.imageKey.wipe();
  }
}

function readFault(subject: Subject, image: Image, flip: Flip): string | undefined {
  const { place } = flip;
  const damaged = place.kind === 'hole' ? new Set<string>() : subject.filesAt(place, sectorOf(flip));
  const reader = new ImageReader(image, 1 << 20);
  try {
    for (const [path, inode] of subject.files(image)) {
      const content = readOrReason(reader, inode);
      if (typeof content === 'string') {
        if (!damaged.has(path)) return `${path} gives ${content}`;
        if (!content.includes(image.manifest.objects[place.object ?? -1]?.id.toString('hex') ?? '?'))
          return `${content} names no object`;
      } else if (!content.equals(subject.contents.get(path) as Buffer)) return `${path} has wrong bytes`;
      else if (damaged.has(path)) return `${path} is read, though damaged`;
    }
    return undefined;
  } finally {
    reader.close();
  }
}

/** The sector of its chunk that a flip is in; undefined for any other place. */
function sectorOf({ place, offset }: Flip): number | undefined {
  return place.kind === 'chunk' ? Math.floor((offset - place.start) / SECTOR_SIZE) : undefined;
}

/** Whether `verify`, its work done on this thread, names just the damaged place. */
function verifyFault(image: Image, place: Place): string | undefined {
  const reader = new ObjectReader(image, new Counters());
  const { geometry } = reader;
  const coverage = new Coverage(image.manifest, geometry);
  const room = new Region(geometry.groupSize);
  const found: string[] = [];
  try {
    for (const [object, { chunks }] of image.manifest.objects.entries()) {
      try {
        reader.checkObject(object);
      } catch {
        found.push(`${object} header`);
        continue;
      }
      for (let group = 0; group < geometry.groupsFor(chunks); group++) {
        const faults = reader.faults(object, group, room, coverage.ofGroup(object, group));
        found.push(...faults.map(({ chunk }) => `${object} ${chunk}`));
      }
    }
  } finally {
    reader.close();
  }
  const expected = expectedFaults(image, place).map(({ object, chunk }) => `${object} ${chunk ?? 'header'}`);
  return found.join() === expected.join() ? undefined : `verify finds ${found.join()} instead of ${expected.join()}`;
}

function expectedFaults(image: Image, { kind, object = -1, chunk = -1 }: Place): { object: number; chunk?: number }[] {
  const chunks = image.manifest.objects[object]?.chunks ?? 0;
  if (kind === 'hole') return [];
  if (kind === 'object header') return [{ object }];
  if (kind === 'chunk') return [{ object, chunk }];
  return Array.from(
    { length: Math.min(new Geometry(image.header.chunkSize).chunksPerGroup, chunks - chunk) },
    (_, i) => ({ object, chunk: chunk + i }),
  );
}

let base: string;
beforeAll(() => {
  base = fs.mkdtempSync(join(tmpdir(), 'ckptfs-damage-'));
  makeSource(join(base, 'source'));
});
afterAll(() => fs.rmSync(base, { recursive: true }));

interface Made {
  readonly cipher: CipherName;
  readonly chunkSize: number;
  readonly compression?: Compression;
}

async function subjectOf(name: string, options: Made): Promise<Subject> {
  const directory = join(base, name);
  await create(join(base, 'source'), directory, options);
  return new Subject(directory, await open(directory));
}

const subjects: readonly (Made & { readonly flips: number })[] = [
  { cipher: 'aes-256-xts', chunkSize: 16384, flips: 3000 },
  { cipher: 'aes-256-xts', chunkSize: 4096, flips: 400 },
  { cipher: 'aes-128-xts', chunkSize: 8192, flips: 400 },
  { cipher: 'chacha20-poly1305', chunkSize: 65536, flips: 400 },
  { cipher: 'none', chunkSize: 16384, flips: 400 },
  { cipher: 'aes-256-xts', chunkSize: 32768, compression: { name: 'zstd' }, flips: 400 },
];

describe('one bit flipped anywhere', () => {
  test.each(subjects)(
    '$flips times in $cipher with chunks of $chunkSize: right bytes or an error, and verify names it',
    async (options) => {
      const subject = await subjectOf(`${options.cipher}-${options.chunkSize}`, options);
      const hit = new Map<PlaceKind, number>();
      for (let index = 0; index < options.flips; index++) {
        const flip = subject.pick(new Random(SEED, index));
        const fault = await subject.whileFlipped(flip, () => faultOf(subject, flip));
        if (fault !== undefined) throw new Error(`${fault} after ${JSON.stringify(flip)}`);
        hit.set(flip.place.kind, (hit.get(flip.place.kind) ?? 0) + 1);
      }
      const possible = kinds.filter((kind) => kind !== 'hole' || options.chunkSize > 4096);
      expect([...hit.keys()].sort()).toEqual([...possible].sort());
      expect(
        await faultOf(subject, { place: { kind: 'hole', file: '', start: 0, end: 0 }, offset: 0, bit: 0 }),
      ).toBeUndefined();
    },
  );

  test('the places cover every byte of every file', async () => {
    const subject = await subjectOf('covered', { cipher: 'aes-256-xts', chunkSize: 16384 });
    const files = new Map<string, number>();
    for (const { file, start, end } of subject.places) {
      expect([file, start]).toEqual([file, files.get(file) ?? 0]);
      files.set(file, end);
    }
    for (const [file, end] of files)
      expect([file, fs.statSync(join(subject.directory, file)).size]).toEqual([file, end]);
    const stored = fs.readdirSync(subject.directory, { recursive: true, encoding: 'utf8' });
    const regular = stored.filter((name) => fs.statSync(join(subject.directory, name)).isFile());
    expect([...files.keys()].sort()).toEqual(regular.sort());
  });

  test('verify with its own threads names file, object, chunk and reason', async () => {
    const subject = await subjectOf('verified', { cipher: 'aes-256-xts', chunkSize: 16384 });
    const inObjects = subject.places.filter(({ object }) => object !== undefined);
    for (let index = 0; index < 40; index++) {
      const random = new Random(SEED + 1, index);
      const kind = random.pick(kinds.slice(2));
      const place = random.pick(inObjects.filter((each) => each.kind === kind));
      const flip = { place, offset: place.start + random.below(place.end - place.start), bit: random.below(8) };
      const { damage } = await subject.whileFlipped(flip, () => verifyImage(subject.image, { jobs: 2 }));
      const places = expectedFaults(subject.image, place);
      const expected = places.flatMap(({ object, chunk }) => {
        const at: Place = {
          ...place,
          kind: chunk === undefined ? 'object header' : 'chunk',
          ...(chunk === undefined ? {} : { chunk }),
        };
        const id = subject.image.manifest.objects[object]?.id.toString('hex');
        return [...subject.filesAt(at, sectorOf(flip))].map((file) => `${file} ${id} ${chunk ?? ''}`);
      });
      const shown = (fault: Damage): string => `${fault.file} ${fault.object} ${fault.chunk ?? ''}`;
      expect(damage.map(shown).sort()).toEqual(expected.sort());
      expect(damage.every(({ reason }) => reason.length > 5)).toBe(true);
    }
  });
});
