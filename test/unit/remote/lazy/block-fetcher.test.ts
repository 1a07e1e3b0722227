// Goal: readers get the right bytes or an error, whatever the store, the cache and other processes do, and a block is
// fetched once. Method: a store in memory that misbehaves, and several fetchers, each with locks of its own as in
// processes of their own, on one cache directory.
import { mkdirSync, mkdtempSync, readdirSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { settleable } from '../../../../src/base/settleable.ts';
import { BlockCache } from '../../../../src/remote/lazy/block-cache.ts';
import { BlockFetcher } from '../../../../src/remote/lazy/block-fetcher.ts';
import { CacheDirectory } from '../../../../src/remote/lazy/cache-directory.ts';
import { blockLock } from '../../../../src/remote/lazy/cache-layout.ts';
import { type FetchCounters, newCounters } from '../../../../src/remote/lazy/fetch-counters.ts';
import { blocksIn, planRuns } from '../../../../src/remote/lazy/plan-runs.ts';
import { goneAway, PackedBlocks } from '../../../support/packed-blocks.ts';

const INDEX = 'ab'.repeat(32);

let base: string;
let opened: CacheDirectory[];

beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'ckptfs-fetcher-'));
  opened = [];
});
afterEach(() => {
  for (const directory of opened) directory.close();
  rmSync(base, { recursive: true });
});

interface Made {
  readonly fetcher: BlockFetcher;
  readonly counters: FetchCounters;
  readonly locks: CacheDirectory;
  readonly cache: BlockCache;
  readonly life: AbortController;
}

/** Makes what one process has. */
function process(store: PackedBlocks, patienceMilliseconds = 600_000, indexDigest = INDEX): Made {
  const locks = CacheDirectory.open(base);
  opened.push(locks);
  const cache = new BlockCache(locks.blocks, { wrote: () => undefined, failed: () => undefined });
  const counters = newCounters();
  const life = new AbortController();
  const shared = { remote: store, index: store.index, indexDigest, table: store, signal: life.signal };
  const waits = [patienceMilliseconds];
  const fetcher = new BlockFetcher({
    ...{ ...shared, cache, locks, counters },
    // One that waits again waits until the test is given up.
    get patienceMilliseconds() {
      return waits.pop() ?? 600_000;
    },
  });
  return { fetcher, counters, locks, cache, life };
}

const fileOf = (store: PackedBlocks, block: number): string => {
  const { digest } = store.placeOf(block);
  return join(base, 'blocks', digest.slice(0, 2), digest);
};
const lockOf = (store: PackedBlocks, block: number): number =>
  blockLock(`${store.location} ${INDEX}`, store.placeOf(block).digest);
const runOfAll = (store: PackedBlocks) => {
  const [run] = planRuns(blocksIn({ first: 0, end: store.blocks.length }), store);
  if (run === undefined) throw new Error('no run');
  return run;
};

describe('one process', () => {
  test('fetches a block once, however many want it, with those that follow it', async () => {
    const store = new PackedBlocks([1, 2, 3, 0, 4]);
    const { fetcher, counters } = process(store);
    const wanted = await Promise.all([1, 1, 2, 4].map((block) => fetcher.want(block, { first: 2, end: 5 })));
    expect(wanted).toEqual([1, 1, 2, 4].map((block) => store.blocks[block]));
    expect(store.given).toEqual([0, 1, 1, 1, 1]);
    expect(counters).toMatchObject({ requests: 1, fetchedBlocks: 3, cacheHits: 0, failures: 0 });
    expect(await fetcher.want(4)).toEqual(store.blocks[4]);
    expect(counters).toMatchObject({ requests: 1, cacheHits: 1 });
  });

  test('asks no store for a block of no pages', async () => {
    const store = new PackedBlocks([0]);
    expect(await process(store).fetcher.want(0)).toEqual(Buffer.alloc(8));
    expect(store.given).toEqual([0]);
  });

  test('answers before the blocks after it came', async () => {
    const store = new PackedBlocks([1, 1]);
    const { fetcher } = process(store);
    const second = settleable<void>();
    const getRange = store.getRange.bind(store);
    store.getRange = async (part, start, end, sink) => {
      const { packedSize } = store.placeOf(0);
      await getRange(part, start, packedSize, sink);
      await second.promise;
      await getRange(part, packedSize, end, sink);
    };
    expect(await fetcher.want(0, { first: 1, end: 2 })).toEqual(store.blocks[0]);
    const waiting = fetcher.want(1);
    second.resolve();
    expect(await waiting).toEqual(store.blocks[1]);
    expect(store.given).toEqual([1, 1]);
  });

  test('fails a reader, and asks anew for the next one', async () => {
    const store = new PackedBlocks([1]);
    const { fetcher, counters } = process(store);
    store.before = () => Promise.reject(goneAway());
    await expect(fetcher.want(0)).rejects.toMatchObject({ code: 'store-unavailable' });
    store.before = async () => undefined;
    expect(await fetcher.want(0)).toEqual(store.blocks[0]);
    expect(counters).toMatchObject({ requests: 2, failures: 1 });
  });

  test('gives a reader that joined a request which failed one of its own, for its block alone', async () => {
    const store = new PackedBlocks([1, 1, 1]);
    const { fetcher } = process(store);
    store.before = (start) => (start === 0 ? Promise.reject(goneAway()) : Promise.resolve());
    const getRange = store.getRange.bind(store);
    const ends: number[] = [];
    store.getRange = (part, start, end, sink) => {
      ends.push(end);
      return getRange(part, start, end, sink);
    };
    const ahead = fetcher.fetchAhead(runOfAll(store));
    const wanted = fetcher.want(1, { first: 2, end: 3 });
    await expect(ahead).rejects.toMatchObject({ code: 'store-unavailable' });
    expect(await wanted).toEqual(store.blocks[1]);
    const { offset, packedSize } = store.placeOf(2);
    expect(ends).toEqual([offset + packedSize, offset]);
  });

  test('fails for a block with other bytes, and keeps those that are right', async () => {
    const store = new PackedBlocks([1, 1, 1]);
    const { fetcher, cache } = process(store);
    store.alter = (bytes) => (bytes.equals(store.blocks[1] ?? bytes) ? Buffer.alloc(bytes.length) : bytes);
    const all = await Promise.allSettled([0, 1, 2].map((block) => fetcher.want(block, { first: 1, end: 3 })));
    expect(all.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(all[1]).toMatchObject({ reason: { code: 'damaged' } });
    expect([0, 1, 2].map((block) => cache.has(store.placeOf(block)))).toEqual([true, false, true]);
  });

  test('fails for what a store leaves out, and waits no longer', async () => {
    const store = new PackedBlocks([1, 1]);
    const { fetcher } = process(store);
    const getRange = store.getRange.bind(store);
    store.getRange = (part, start, _end, sink) => getRange(part, start, store.placeOf(0).packedSize, sink);
    const all = await Promise.allSettled([0, 1].map((block) => fetcher.want(block, { first: 1, end: 2 })));
    expect(all.map(({ status }) => status)).toEqual(['fulfilled', 'rejected']);
    expect(all[1]).toMatchObject({ reason: { code: 'damaged' } });
  });

  test('fetches again a block that was removed while the request that brought it goes on', async () => {
    const store = new PackedBlocks([1, 1]);
    const { fetcher } = process(store);
    const [removed, ended] = [settleable<void>(), settleable<void>()];
    const getRange = store.getRange.bind(store);
    let requests = 0;
    store.getRange = async (...range) => {
      const isFirst = requests++ === 0;
      if (!isFirst) {
        removed.resolve();
        await ended.promise;
      }
      await getRange(...range);
      if (isFirst) await removed.promise;
    };
    const first = fetcher.fetchAhead(runOfAll(store)).then(() => ended.resolve());
    await fetcher.want(0);
    unlinkSync(fileOf(store, 0));
    expect(await fetcher.want(0)).toEqual(store.blocks[0]);
    await first;
    expect(store.given).toEqual([2, 1]);
  });
});

describe('two processes', () => {
  test('fetch each block once', async () => {
    const store = new PackedBlocks(Array(40).fill(1));
    const [one, other] = [process(store), process(store)];
    const blocks = Array.from(store.blocks.keys());
    const wanted = await Promise.all([
      ...blocks.map((block) => one.fetcher.want(block)),
      ...blocks.toReversed().map((block) => other.fetcher.want(block)),
      one.fetcher.fetchAhead(runOfAll(store)),
      other.fetcher.fetchAhead(runOfAll(store)),
    ]);
    expect(wanted.slice(0, 80)).toEqual([...store.blocks, ...store.blocks.toReversed()]);
    expect(store.given).toEqual(Array(40).fill(1));
  });

  test('leave to each other what one of them fetches, when it is only read ahead', async () => {
    const store = new PackedBlocks([1, 1, 1]);
    const [one, other] = [process(store), process(store)];
    expect(one.locks.lock(lockOf(store, 1))).toBe(true);
    // Once more, when some are there.
    for (let time = 0; time < 2; time++) await other.fetcher.fetchAhead(runOfAll(store));
    expect(store.given).toEqual([1, 0, 1]);
    for (const number of [0, 2]) expect(one.locks.lock(lockOf(store, number))).toBe(true);
  });

  test('do not wait for one that has ended', async () => {
    const store = new PackedBlocks([1]);
    const [one, other] = [process(store), process(store)];
    const asked = settleable<void>();
    store.before = () => {
      asked.resolve();
      return new Promise(() => undefined);
    };
    void one.fetcher.want(0);
    await asked.promise;
    store.before = async () => undefined;
    const wanted = other.fetcher.want(0);
    opened.splice(opened.indexOf(one.locks), 1);
    one.locks.close();
    expect(await wanted).toEqual(store.blocks[0]);
  });

  test('do not wait for ever for one that was stopped', async () => {
    const store = new PackedBlocks([1]);
    const [one, other] = [process(store), process(store, 30)];
    expect(one.locks.lock(lockOf(store, 0))).toBe(true);
    expect(await other.fetcher.want(0)).toEqual(store.blocks[0]);
  });

  test('wait for one that was stopped once, and not for each block that it has locked', async () => {
    const store = new PackedBlocks([1, 2, 3]);
    const [one, other] = [process(store), process(store, 30)];
    for (const number of [0, 1, 2]) expect(one.locks.lock(lockOf(store, number))).toBe(true);
    for (const number of [0, 1, 2]) expect(await other.fetcher.want(number)).toEqual(store.blocks[number]);
  });

  test('do not wait for one that fetches the same block of another image, whose store may be slow', async () => {
    const store = new PackedBlocks([1]);
    const [one, other] = [process(store, 600_000, 'cd'.repeat(32)), process(store)];
    const asked = settleable<void>();
    const gate = settleable<void>();
    store.before = () => {
      asked.resolve();
      return gate.promise;
    };
    const slow = one.fetcher.want(0);
    await asked.promise;
    store.before = async () => undefined;
    expect(await other.fetcher.want(0)).toEqual(store.blocks[0]);
    gate.resolve();
    expect(await slow).toEqual(store.blocks[0]);
  });

  test('stop waiting when they end', async () => {
    const store = new PackedBlocks([1]);
    const [one, other] = [process(store), process(store)];
    one.locks.lock(lockOf(store, 0));
    const wanted = other.fetcher.want(0);
    other.life.abort();
    await expect(wanted).rejects.toMatchObject({ code: 'interrupted' });
  });
});

type Step =
  | { readonly kind: 'want' | 'ahead'; readonly process: number; readonly block: number; readonly count: number }
  | { readonly kind: 'remove' | 'spoil'; readonly block: number }
  | { readonly kind: 'fail' | 'mend' | 'lie' | 'turn' };

const block = fc.nat(11);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constantFrom('want' as const, 'ahead' as const),
      process: fc.nat(1),
      block,
      count: fc.nat(5),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('remove' as const, 'spoil' as const), block }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constantFrom('fail' as const, 'mend' as const, 'lie' as const, 'turn' as const),
    }),
  },
);

test('whatever happens, a reader gets its block or an error, and no lock stays', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.constantFrom(0, 1, 2), { minLength: 12, maxLength: 12 }),
      fc.array(step, { maxLength: 40 }),
      async (pages, steps) => {
        rmSync(base, { recursive: true });
        mkdirSync(base);
        const store = new PackedBlocks(pages);
        const made = [process(store), process(store)];
        const work: Promise<unknown>[] = [];
        const begin = (promise: Promise<unknown>): void => {
          // It may fail before it is waited for.
          promise.catch(() => undefined);
          work.push(promise);
        };
        let isHonest = true;
        for (const each of steps) {
          if (each.kind === 'want' || each.kind === 'ahead') {
            const { fetcher } = made[each.process] as Made;
            const following = { first: each.block + 1, end: Math.min(12, each.block + 1 + each.count) };
            if (each.kind === 'want') {
              const wanted = fetcher.want(each.block, following);
              begin(wanted.then((packed) => expect(packed).toEqual(store.blocks[each.block])));
            } else {
              const [run] = planRuns(blocksIn({ first: each.block, end: following.end }), store);
              if (run !== undefined) begin(fetcher.fetchAhead(run));
            }
          } else if (each.kind === 'remove') rmSync(fileOf(store, each.block), { force: true });
          else if (each.kind === 'spoil') {
            mkdirSync(join(fileOf(store, each.block), '..'), { recursive: true, mode: 0o700 });
            writeFileSync(fileOf(store, each.block), Buffer.alloc(store.placeOf(each.block).packedSize, 'x'));
          } else if (each.kind === 'turn') await new Promise(setImmediate);
          else {
            isHonest &&= each.kind === 'mend';
            store.before = () => (each.kind === 'fail' ? Promise.reject(goneAway()) : Promise.resolve());
            store.alter = (bytes) => (each.kind === 'lie' ? Buffer.alloc(bytes.length, 'x') : bytes);
          }
        }
        for (const result of await Promise.allSettled(work)) {
          if (result.status === 'fulfilled') continue;
          // A wrong block would be an error of `expect`, which has no code.
          expect(['store-unavailable', 'damaged']).toContain(result.reason.code);
          expect(isHonest).toBe(false);
        }
        // Nothing is on its way any more: all can be had, by each process, and all locks are free.
        store.before = async () => undefined;
        store.alter = (bytes) => bytes;
        for (const { fetcher } of made)
          for (const number of pages.keys()) expect(await fetcher.want(number)).toEqual(store.blocks[number]);
        const free = CacheDirectory.open(base);
        for (const number of pages.keys()) expect(free.lock(lockOf(store, number))).toBe(true);
        free.close();
        const drafts = readdirSync(base, { recursive: true, encoding: 'utf8' }).filter((name) => /\/\./.test(name));
        expect(drafts).toEqual([]);
        for (const { locks } of made) locks.close();
        opened = [];
      },
    ),
    { numRuns: 40 },
  );
});
