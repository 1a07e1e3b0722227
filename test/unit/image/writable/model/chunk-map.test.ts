import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ChunkMap } from '../../../../../src/image/writable/model/chunk-map.ts';
import { ChunkRanges } from '../../../../../src/image/writable/model/chunk-ranges.ts';

/** Near each other mostly, and sometimes as far away as a file can be large. */
const chunk = fc.oneof(fc.nat(1200), fc.constantFrom(0, 511, 512, 2 ** 40, 2 ** 41 - 1));
const count = fc.oneof(fc.integer({ min: 1, max: 600 }), fc.constant(2 ** 41));

test('a chunk map says what was set last', () => {
  const change = fc.oneof(
    fc.record({ kind: fc.constant('set' as const), chunk, object: fc.nat(3), objectChunk: fc.nat(2 ** 32 - 1) }),
    fc.record({ kind: fc.constant('run' as const), chunk: fc.nat(1200), count: fc.nat(700), objectChunk: fc.nat(9) }),
    fc.record({ kind: fc.constant('clear' as const), chunk, count }),
  );
  fc.assert(
    fc.property(fc.array(change, { maxLength: 20 }), chunk, count, (changes, first, length) => {
      const map = new ChunkMap();
      const expected = new Map<number, string>();
      const set = (at: number, object: number, objectChunk: number): void => {
        map.set(at, object, objectChunk, at % 16);
        expected.set(at, `${object} ${objectChunk} ${at % 16}`);
      };
      for (const step of changes) {
        if (step.kind === 'set') set(step.chunk, step.object, step.objectChunk);
        else if (step.kind === 'run') {
          for (let i = 0; i < step.count; i++) set(step.chunk + i, 1, step.objectChunk + i);
        } else {
          const cleared: string[] = [];
          map.clear(step.chunk, step.chunk + step.count, () =>
            cleared.push(`${map.object} ${map.objectChunk} ${map.holes}`),
          );
          const within = [...expected].filter(([at]) => at >= step.chunk && at < step.chunk + step.count);
          expect(cleared.sort()).toEqual(within.map(([, value]) => value).sort());
          for (const [at] of within) expected.delete(at);
        }
      }
      const sorted = [...expected.keys()].sort((a, b) => a - b);
      expect(map.last()).toBe(sorted.at(-1) ?? -1);
      for (const at of [...sorted, first, first + 1]) {
        const found = map.find(at) ? `${map.object} ${map.objectChunk} ${map.holes}` : undefined;
        expect(found).toBe(expected.get(at));
      }
      const inRange = sorted.filter((at) => at >= first && at < first + length);
      expect([...map.chunks(first, first + length)]).toEqual(inRange);
      const unrolled = [...map.runs(first, first + length)].flatMap((run) =>
        Array.from({ length: run.count }, (_, i) => `${run.fileChunk + i}: ${run.object} ${run.objectChunk + i}`),
      );
      expect(unrolled).toEqual(inRange.map((at) => `${at}: ${expected.get(at)?.split(' ').slice(0, 2).join(' ')}`));
    }),
  );
});

test('runs are as long as can be', () => {
  const map = new ChunkMap();
  for (let at = 0; at < 2000; at++) map.set(at, 0, 5 + at, 0);
  expect([...map.runs(10, 1500)]).toEqual([{ fileChunk: 10, object: 0, objectChunk: 15, count: 1490 }]);
});

test('ranges hold every chunk that was added, and no other', () => {
  const range = fc.tuple(fc.nat(3000), fc.integer({ min: 1, max: 40 }));
  fc.assert(
    fc.property(fc.array(range, { maxLength: 400 }), (added) => {
      const ranges = new ChunkRanges();
      const expected = new Set<number>();
      for (const [first, length] of added) {
        ranges.add(first, first + length);
        for (let at = first; at < first + length; at++) expected.add(at);
      }
      const found: number[] = [];
      let behind = -1;
      for (const [first, end] of ranges.ranges()) {
        expect(first).toBeGreaterThan(behind);
        for (let at = first; at < end; at++) found.push(at);
        behind = end;
      }
      expect(found).toEqual([...expected].sort((a, b) => a - b));
    }),
  );
});
