import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ioErrorName } from '../../../../src/base/errors.ts';
import { type SuiteName, suiteNames } from '../../../../src/format/suites.ts';
import { recoverImage, sealImage } from '../../../../src/image/writable/close-unsealed.ts';
import type { CommitterLimits } from '../../../../src/image/writable/commit/committer.ts';
import { openWritable } from '../../../../src/image/writable/open-writable.ts';
import { type DiskOperation, diskAfter } from '../../../support/memory-disk.ts';
import { RecordingStore, refuseObjects } from '../../../support/recording-store.ts';
import { checkSealed, recovered } from './left-image.ts';
import { type Operation, operation } from './operations.ts';
import { type BegunImage, describeImage, describeModel, newImage, patternBytes, readAll, Session } from './session.ts';

const chunkSize = 4096;

/** A state the image was in, and when. */
interface Moment {
  readonly text: string;
  /** Operations of the disk when it came about. */
  readonly from: number;
  /** Operations of the disk when the operation that made it had returned. */
  readonly returned: number;
  readonly isCommitted: boolean;
  readonly isSynced: boolean;
}

/** Runs operations, and remembers each state between them. */
async function run(
  operations: readonly Operation[],
  limits: CommitterLimits,
  suite: SuiteName = 'default',
): Promise<[BegunImage, Moment[]]> {
  const begun = await newImage('aes-256-xts', chunkSize, suite);
  const { log } = begun.store;
  const session = new Session(begun, { poolSize: 6 * chunkSize, limits });
  const moments: Moment[] = [];
  const add = (from: number, kind: Operation['kind']): void => {
    const isSynced = ['sync', 'seal', 'reopen'].includes(kind);
    const isCommitted = isSynced || !['write', 'truncate', 'punch', 'release'].includes(kind);
    moments.push({ text: describeModel(session.root), from, returned: log.length, isCommitted, isSynced });
  };
  add(0, 'sync');
  for (const step of operations) {
    const from = log.length;
    session.apply(step);
    add(from, step.kind);
  }
  session.close();
  return [begun, moments];
}

/** Whether an operation that was not durable is there after loss of power, and how much of it. */
type Loss = (operation: DiskOperation) => DiskOperation | undefined;

/** Deterministic: a failing case can be seen again. */
function lossy(seed: number): Loss {
  let state = seed | 1;
  const random = (below: number): number => {
    state = Math.imul(state, 1664525) + 1013904223;
    return (state >>> 8) % below;
  };
  return (operation) => {
    const luck = random(4);
    if (luck === 0) return undefined;
    if (operation.kind !== 'write' || luck > 1) return operation;
    return { ...operation, bytes: operation.bytes.subarray(0, random(operation.bytes.length)) };
  };
}

/**
 * Throws unless a recovered state is one that the image was in, not before what was promised, not after what was done.
 */
function checkMoment(
  moments: readonly Moment[],
  text: string,
  crash: number,
  isPromise: (moment: Moment) => boolean,
): void {
  let first = 0;
  let last = 0;
  for (const [at, moment] of moments.entries()) {
    // What did nothing to the disk, such as a refused operation, promised nothing new.
    if (moment.returned <= crash && moment.from < moment.returned && isPromise(moment)) first = at;
    if (moment.from <= crash) last = at;
  }
  if (moments.slice(first, last + 1).some((moment) => moment.text === text)) return;
  const which = moments.findIndex((moment) => moment.text === text);
  throw new Error(`after ${crash}: moment ${which} is not from ${first} to ${last}:\n${text}`);
}

const beginning: Operation[] = [
  { kind: 'create', directory: 0, name: 'a' },
  { kind: 'write', file: 0, offset: 0, length: 3 * chunkSize + 100, seed: 1 },
];

const scripts = fc.record({
  operations: fc.array(operation(chunkSize), { minLength: 10, maxLength: 30 }),
  limits: fc.record({
    pending: fc.constantFrom(1 << 20, 300),
    journal: fc.constantFrom(1 << 20, 600),
    freed: fc.constantFrom(1 << 20, 5 * chunkSize),
  }),
});

/** After each operation of the disk but those that make the empty image. */
function crashes(begun: BegunImage): number[] {
  const { log } = begun.store;
  const start = log.findIndex((operation) => operation.kind === 'rename' && operation.to === 'journal') + 2;
  return Array.from({ length: log.length - start + 1 }, (_, at) => start + at);
}

/** Does it, and returns whether the store refused contents. */
function isRefused(action: () => void): boolean {
  try {
    action();
    return false;
  } catch (error) {
    if (ioErrorName(error) === 'EDQUOT') return true;
    throw error;
  }
}

describe('a crash at any moment while the store refuses contents', () => {
  const small = (at: number, length: number): Operation => ({
    kind: 'write',
    file: at,
    offset: 10 * at,
    length,
    seed: at + 3,
  });
  const before: Operation[] = [
    ...['a', 'b', 'c'].map((name): Operation => ({ kind: 'create', directory: 0, name })),
    { kind: 'write', file: 0, offset: 0, length: 2 * chunkSize + 300, seed: 1 },
    { kind: 'write', file: 1, offset: 0, length: 700, seed: 2 },
    { kind: 'sync' },
  ];
  /** Some of these the store refuses; what else they do is told to the journal meanwhile. */
  const meanwhile: Operation[] = [
    { kind: 'mkdir', directory: 0, name: 'd' },
    { kind: 'truncate', file: 0, size: chunkSize + 50 },
    { kind: 'commit' },
    { kind: 'rename', entry: 1, directory: 0, name: 'e', how: 'replace' },
    small(0, 100),
    { kind: 'truncate', file: 0, size: 3 * chunkSize },
    { kind: 'truncate', file: 0, size: chunkSize + 20 },
    { kind: 'symlink', directory: 0, name: 'l' },
    { kind: 'sync' },
    { kind: 'create', directory: 0, name: 'f' },
  ];
  const after: Operation[] = [small(0, 60), { kind: 'mkdir', directory: 0, name: 'g' }, { kind: 'sync' }];

  /** Flushes a small file, which is refused, goes on, and, when the store takes contents again, does so once more. */
  async function refused(journal: number): Promise<{
    readonly begun: BegunImage;
    /**
     * Operations of the disk when the store began to refuse, when it took contents again, and when it had all of them.
     */
    readonly from: number;
    readonly healed: number;
    readonly stored: number;
    readonly whole: string;
  }> {
    const begun = await newImage('aes-256-xts', chunkSize);
    const limits = { pending: 1 << 20, journal, freed: 1 << 20 };
    const session = new Session(begun, { poolSize: 8 * chunkSize, limits });
    for (const step of before) session.apply(step);
    session.apply(small(2, 200));
    refuseObjects(begun.store, 'EDQUOT');
    const from = begun.store.log.length;
    expect(isRefused(() => session.apply({ kind: 'commit' }))).toBe(true);
    for (const step of meanwhile) isRefused(() => session.apply(step));
    session.check();
    begun.store.fault = undefined;
    const healed = begun.store.log.length;
    session.apply({ kind: 'commit' });
    const stored = begun.store.log.length;
    for (const step of after) session.apply(step);
    session.check();
    session.close();
    return { begun, from, healed, stored, whole: describeModel(session.root) };
  }

  test.each([1 << 20, 300])(
    'journal of %d bytes: nothing is lost without a word, what was durable stays, and a seal has all or is refused',
    async (journal) => {
      const { begun, from, healed, stored, whole } = await refused(journal);
      const { header, imageKey, store } = begun;
      let losses = 0;
      for (let crash = from; crash <= store.log.length; crash++) {
        const left = (): RecordingStore =>
          new RecordingStore(diskAfter(store.log.slice(0, crash), (operation) => operation));
        const [sealed, kept] = [left(), left()];
        const { dropped } = recoverImage(kept, header, imageKey);
        const image = openWritable(kept, header, imageKey, { poolSize: 1 << 18 });
        const [a = Buffer.alloc(0), c = Buffer.alloc(0)] = ['a', 'c'].map((name) =>
          readAll(image, image.lookup(1, Buffer.from(name)) as number),
        );
        const isLost = dropped?.includes('the store refused it') === true;
        if (isLost) losses++;
        if (crash === from || crash >= stored) expect(isLost, `after ${crash}`).toBe(false);
        // What was durable stays as long as nothing takes its place, and of what was cut off and written again nothing
        // is seen.
        if (crash <= healed) {
          expect(a.length).toBeGreaterThan(chunkSize);
          expect(a.equals(patternBytes(1, 2 * chunkSize + 300).subarray(0, a.length)), `after ${crash}`).toBe(true);
        }
        // And of the small one all, or it is said.
        if (!isLost && c.length > 0) expect(c.subarray(20).equals(patternBytes(5, 200))).toBe(true);
        if (crash === store.log.length) expect(describeImage(image)).toBe(whole);
        image.close();
        sealImage(kept, header, imageKey);
        checkSealed(kept, { header, imageKey });
        if (isLost) {
          expect(() => sealImage(sealed, header, imageKey)).toThrow(expect.objectContaining({ code: 'unsealed' }));
          expect(sealed.has('manifest')).toBe(false);
          continue;
        }
        sealImage(sealed, header, imageKey);
        checkSealed(sealed, { header, imageKey });
      }
      expect(losses).toBeGreaterThan(5);
    },
  );
});

const suites = fc.constantFrom(...suiteNames);

describe('a crash at any moment', () => {
  test('kill -9: what was committed is there, and nothing needs recovery', async () => {
    await fc.assert(
      fc.asyncProperty(scripts, suites, async ({ operations, limits }, suite) => {
        const [begun, moments] = await run([...beginning, ...operations], limits, suite);
        for (const crash of crashes(begun)) {
          const done = begun.store.log.slice(0, crash);
          const store = new RecordingStore(diskAfter(done, (operation) => operation));
          const image = openWritable(store, begun.header, begun.imageKey, { poolSize: 1 << 18 });
          checkMoment(moments, describeImage(image), crash, ({ isCommitted }) => isCommitted);
          image.close();
        }
      }),
      { numRuns: 8 },
    );
  });

  const losses: Readonly<Record<string, (seed: number) => Loss>> = {
    'all that was not synced is lost': () => () => undefined,
    'some of what was not synced is lost, or cut': lossy,
    'nothing is lost': () => (operation) => operation,
  };
  for (const [name, loss] of Object.entries(losses)) {
    test(`loss of power, and ${name}: what was synced is there, and all that is there verifies`, async () => {
      await fc.assert(
        fc.asyncProperty(scripts, fc.integer(), suites, async ({ operations, limits }, seed, suite) => {
          const [begun, moments] = await run([...beginning, ...operations], limits, suite);
          for (const crash of crashes(begun)) {
            const disk = diskAfter(begun.store.log.slice(0, crash), loss(seed + crash));
            checkMoment(moments, recovered(begun, disk), crash, ({ isSynced }) => isSynced);
          }
        }),
        { numRuns: 6 },
      );
    });
  }
});
