import { hash } from 'node:crypto';
import { encodeAccessProfile, parseAccessProfile, runsFor } from '../../src/format/access-profile.ts';
import { BlockTable, setBlockEntry } from '../../src/format/block-table.ts';
import { PackedBlock } from '../../src/format/packed-block.ts';
import { PartUnpacker, packBlock } from '../../src/format/packed-part.ts';
import { objectFileName, type RemoteIndex } from '../../src/format/remote-index.ts';
import { mutate, mutateInPlace, mutateJsonText } from './mutate.ts';
import type { Random } from './random.ts';
import { type FuzzTarget, must, outcomeOfParsing } from './target.ts';

const PAGE = 4096;
const BLOCK = 262_144;
const IMAGE = '11'.repeat(16);
const INDEX = 'ab'.repeat(32);

/** The table of the blocks of an image, by which ranges are asked for. */
export const blockTableTarget: FuzzTarget = {
  name: 'block table',
  prepare: () => {
    // Objects of 3 blocks in 2 parts, of 1 page, and of 2 blocks.
    const pages = [64, 0, 3, 1, 64, 2];
    const good = Buffer.alloc(17 * pages.length);
    for (const [block, count] of pages.entries())
      setBlockEntry(good, block, 8 + PAGE * count, hash('sha256', Buffer.alloc(8, count), 'buffer'));
    const parts = (...counts: number[][]) =>
      counts.map((each) => ({ digest: INDEX, size: each.reduce((sum, count) => sum + 8 + PAGE * count, 0) }));
    const index: RemoteIndex = {
      imageId: IMAGE,
      cipher: 'aes-256-xts',
      partSize: 2 * BLOCK,
      files: [
        { name: 'ckptfs.json', size: 700, parts: parts([0]) },
        { name: objectFileName('01'.repeat(16)), size: 2 * BLOCK + 3 * PAGE, parts: parts([64, 0], [3]) },
        { name: objectFileName('02'.repeat(16)), size: PAGE, parts: parts([1]) },
        { name: objectFileName('ab'.repeat(16)), size: BLOCK + 2 * PAGE, parts: parts([64, 2]) },
      ],
      blocks: { size: good.length, parts: [] },
    };
    return {
      attempt: (random) => {
        const input = random.chance(20) ? good : random.chance(4) ? mutate(good, random) : mutateInPlace(good, random);
        return { input, check: () => outcomeOfParsing(() => checkTable(input, index, pages.length)) };
      },
    };
  },
};

function checkTable(input: Buffer, index: RemoteIndex, count: number): string {
  const table = new BlockTable(input, index);
  must(table.count === count, 'blocks too many or too few');
  const ends = new Map<string, number>();
  for (let block = 0; block < count; block++) {
    const { file, part, offset, packedSize, pages, length, start } = table.placeOf(block);
    const name = `${file} ${part}`;
    const stored = index.files[file]?.parts[part];
    must(stored !== undefined, 'a block in no part');
    must(offset === (ends.get(name) ?? 0), 'a block that does not follow the one before it');
    must(packedSize === 8 + PAGE * pages && pages * PAGE <= length, 'a block of a size that it cannot have');
    must(start + length <= (index.files[file]?.size ?? 0), 'a block past the end of its object');
    must(offset + packedSize <= stored.size, 'a block past the end of its part');
    ends.set(name, offset + packedSize);
  }
  for (const [name, end] of ends) {
    const [file = 0, part = 0] = name.split(' ').map(Number);
    must(end === index.files[file]?.parts[part]?.size, 'a part with bytes of no block');
  }
  return 'ok';
}

/** What a store says about the order of fetching. */
export const accessProfileTarget: FuzzTarget = {
  name: 'access profile',
  prepare: () => {
    const blocks = [
      [7, 3],
      [0, 1],
      [100, 28],
      [1, 2],
    ] as const;
    const good = encodeAccessProfile({ imageId: IMAGE, index: INDEX, blocks });
    return {
      attempt: (random) => {
        const input = mutateJsonText(good, random);
        return { input, check: () => outcomeOfParsing(() => checkProfile(input)) };
      },
    };
  },
};

function checkProfile(input: Buffer): string {
  const profile = parseAccessProfile(input);
  must(encodeAccessProfile(profile).equals(input), 'parses, and encodes to other bytes');
  must(runsFor(profile, 'cd'.repeat(32), 128).length === 0, 'blocks of another index');
  const wanted = new Set<number>();
  for (const [first, count] of runsFor(profile, INDEX, 128)) {
    must(first >= 0 && count > 0 && first + count <= 128, 'blocks that the image does not have');
    for (let block = first; block < first + count; block++) {
      must(!wanted.has(block), 'a block twice');
      wanted.add(block);
    }
  }
  return profile.index === INDEX ? 'ok' : 'of another index';
}

/** One block as it is stored: by its map pages are found, by two programs that must agree. */
export const packedBlockTarget: FuzzTarget = {
  name: 'packed block',
  prepare: () => {
    const block = Buffer.concat([0, 1, 0, 2, 3].map((value) => Buffer.alloc(PAGE, value)));
    const good = packBlock(block);
    const unpacked = Buffer.alloc(BLOCK);
    return {
      attempt: (random) => {
        const input = random.chance(10) ? good : mutateInFront(good, random);
        const length = PAGE * random.pick([5, 5, 5, 4, 64]);
        const [start, end] = [random.below(length + 1), random.below(length + 1)].sort((one, other) => one - other);
        return { input, check: () => checkBlock(input, length, [start ?? 0, end ?? 0], unpacked) };
      },
    };
  },
};

function mutateInFront(good: Buffer, random: Random): Buffer {
  const map = random.chance(4) ? good.subarray(0, 8) : mutateInPlace(good.subarray(0, 8), random);
  const pages = Buffer.from(good.subarray(8));
  if (random.chance(8)) pages.fill(0, 0, PAGE);
  return Buffer.concat([map, random.chance(4) ? mutate(pages, random) : pages]);
}

function checkBlock(input: Buffer, length: number, [start, end]: readonly [number, number], memory: Buffer): string {
  const found = PackedBlock.from(input, length);
  let whole: Buffer | undefined;
  const unpacker = new PartUnpacker(length, memory, (bytes) => {
    whole = bytes;
  });
  unpacker.write(input);
  if (unpacker.isWhole) must(found !== undefined, 'is unpacked as a part, and refused as a block');
  if (found === undefined) return 'malformed';
  const around = 16;
  const to = Buffer.alloc(length + 2 * around, 0xee);
  found.copy(to, around, start, end - start);
  must(
    to.subarray(0, around).every((byte) => byte === 0xee) &&
      to.subarray(around + end - start).every((byte) => byte === 0xee),
    'bytes outside of the range',
  );
  if (!unpacker.isWhole) return 'a stored page of zeros';
  must(
    to.subarray(around, around + end - start).equals(whole?.subarray(start, end) ?? to),
    'other bytes than the part',
  );
  return 'ok';
}
