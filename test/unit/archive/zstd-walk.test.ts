import { spawnSync } from 'node:child_process';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ZstdWalk } from '../../../src/archive/zstd-walk.ts';

const zstd = (input: Buffer, ...options: readonly string[]): Buffer =>
  spawnSync('zstd', ['-q', '-c', ...options], { input }).stdout;
const skipped = Buffer.from('532a4d180300000001020300', 'hex').subarray(0, 11);
const contents = Buffer.from('contents'.repeat(40_000));
const run = Buffer.alloc(300_000);
const frames = {
  'many blocks': zstd(contents),
  'no checksum': zstd(contents, '--no-check'),
  'a block of one byte again and again': zstd(run),
  'blocks as they are': zstd(Buffer.from(Array.from({ length: 999 }, (_, at) => (at * at * 7919) % 251))),
  nothing: zstd(Buffer.alloc(0)),
  'one segment': zstd(Buffer.from('x'), '--stream-size=1'),
  'one segment, large': zstd(run, '--stream-size=300000', '--single-thread'),
  'a frame that is skipped': skipped,
  'several frames': Buffer.concat([zstd(contents), skipped, skipped, zstd(run)]),
};

/** Returns after how many bytes of it a walk is between frames. */
function endsOf(bytes: Buffer, pieceSize: number): number[] {
  const walk = new ZstdWalk();
  const ends: number[] = [];
  for (let at = 0; at < bytes.length; at += pieceSize) {
    walk.pass(bytes.subarray(at, at + pieceSize));
    if (walk.isBetweenFrames) ends.push(Math.min(at + pieceSize, bytes.length));
  }
  return ends;
}

test.each(Object.entries(frames))('the ends of frames are found: %s', (_, bytes) => {
  expect(bytes.length).toBeGreaterThan(8);
  const ends = endsOf(bytes, 1);
  expect(ends.at(-1)).toBe(bytes.length);
  expect(endsOf(bytes, bytes.length)).toEqual([bytes.length]);
  expect(endsOf(bytes, 5)).toEqual(ends.filter((end) => end % 5 === 0 || end === bytes.length));
});

test('there are as many ends as frames', () => {
  expect(endsOf(frames['several frames'], 1)).toHaveLength(4);
  expect(endsOf(Buffer.concat([frames['one segment'], frames['no checksum']]), 1)).toHaveLength(2);
});

test('what is no frame has no end, and any bytes are passed', () => {
  expect(endsOf(Buffer.concat([frames.nothing, Buffer.alloc(50)]), 1)).toEqual([frames.nothing.length]);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.integer({ min: 1, max: 9 }), (bytes, pieceSize) => {
      const all = Buffer.concat([Buffer.from('28b52ffd', 'hex'), bytes]);
      const [byBytes, byPieces] = [new Set(endsOf(all, 1)), endsOf(all, pieceSize)];
      expect(byPieces.every((end) => byBytes.has(end))).toBe(true);
    }),
  );
});
