// Plays a crash after each operation of the disk that one transition of the writer makes (README of
// src/image/writable), with all or nothing left of what was not durable. What is there then is the state before or the
// state after.
import { describe, expect, test } from 'vitest';
import { Region } from '../../../../src/base/linux/native.ts';
import { recoverImage, sealImage } from '../../../../src/image/writable/close-unsealed.ts';
import { type DiskOperation, diskAfter } from '../../../support/memory-disk.ts';
import { RecordingStore, refuseObjects } from '../../../support/recording-store.ts';
import { recovered } from './left-image.ts';
import type { Operation } from './operations.ts';
import { type BegunImage, describeModel, newImage, Session } from './session.ts';

const chunkSize = 4096;
const unlimited = { pending: 1 << 20, journal: 1 << 20, freed: 1 << 20 };

const beginning: readonly Operation[] = [
  { kind: 'create', directory: 0, name: 'a' },
  { kind: 'write', file: 0, offset: 0, length: 5 * chunkSize + 100, seed: 1 },
  { kind: 'mkdir', directory: 0, name: 'b' },
  { kind: 'sync' },
];
const rewrite: readonly Operation[] = [
  { kind: 'write', file: 0, offset: chunkSize, length: 2 * chunkSize, seed: 2 },
  { kind: 'write', file: 0, offset: 10, length: 20, seed: 3 },
];

interface Transition {
  /** Steps that end in a state that is durable. */
  readonly before: readonly Operation[];
  readonly limits?: typeof unlimited;
  /** The transition: steps, or what does it without a session. */
  readonly steps: readonly Operation[] | ((begun: BegunImage) => void);
  /** What it must have done to the disk. */
  readonly does: (operation: DiskOperation) => boolean;
}

const isJournal = (operation: DiskOperation): boolean => operation.kind === 'rename' && operation.to === 'journal';
const isManifest = (operation: DiskOperation): boolean => operation.kind === 'rename' && operation.to === 'manifest';

const transitions: Readonly<Record<string, Transition>> = {
  'opening what a writer left': { before: beginning, steps: [{ kind: 'reopen' }], does: isJournal },
  'opening a sealed image': { before: [...beginning, { kind: 'seal' }], steps: [{ kind: 'reopen' }], does: isJournal },
  'a commit': { before: beginning, steps: [...rewrite, { kind: 'commit' }], does: ({ kind }) => kind === 'write' },
  'a change of names': {
    before: beginning,
    steps: [{ kind: 'symlink', directory: 1, name: 'c' }],
    does: ({ kind }) => kind === 'write',
  },
  'a sync': { before: beginning, steps: [...rewrite, { kind: 'sync' }], does: ({ kind }) => kind === 'sync' },
  'a journal that is renewed': {
    before: beginning,
    limits: { ...unlimited, journal: 1 },
    steps: Array.from({ length: 12 }, (_, at): Operation => ({ kind: 'create', directory: 0, name: `f${at}` })),
    does: isJournal,
  },
  'room that is given back': {
    before: [...beginning, ...rewrite, { kind: 'sync' }],
    limits: { ...unlimited, freed: 1 },
    steps: [{ kind: 'punch', file: 0, offset: 0, length: 4 * chunkSize }, { kind: 'sync' }, ...rewrite],
    does: ({ kind }) => kind === 'punch',
  },
  'a seal by its writer': {
    before: [...beginning, ...rewrite, { kind: 'sync' }],
    steps: [{ kind: 'seal' }],
    does: isManifest,
  },
  'a seal of what a writer left': {
    before: [...beginning, ...rewrite, { kind: 'sync' }],
    steps: ({ store, header, imageKey }) => sealImage(store, header, imageKey),
    does: isManifest,
  },
};

const losses: Readonly<Record<string, (operation: DiskOperation) => DiskOperation | undefined>> = {
  'kept (kill -9)': (operation) => operation,
  'lost (power)': () => undefined,
};

describe.each(Object.entries(transitions))('a crash within %s', (_, { before, limits = unlimited, steps, does }) => {
  test.each(Object.entries(losses))(
    'what was not durable is %s: the state is one from before to after',
    async (_, loss) => {
      const begun = await newImage('aes-256-xts', chunkSize);
      const { store, header, imageKey } = begun;
      const session = new Session(begun, { poolSize: 8 * chunkSize, limits });
      for (const step of before) session.apply(step);
      const states = [describeModel(session.root)];
      if (typeof steps === 'function') session.close();
      const from = store.log.length;
      if (typeof steps === 'function') steps(begun);
      else {
        for (const step of steps) {
          session.apply(step);
          states.push(describeModel(session.root));
        }
      }
      session.close();
      const left = (crash: number): RecordingStore => new RecordingStore(diskAfter(store.log.slice(0, crash), loss));
      expect(store.log.slice(from).some(does)).toBe(true);
      for (let crash = from; crash <= store.log.length; crash++) {
        expect(states, `after ${crash}`).toContain(recovered(begun, left(crash).disk));
        expect(recoverImage(left(crash), header, imageKey), `after ${crash}`).toEqual({ dropped: undefined });
      }
    },
  );
});

describe('a crash within what makes or mends an image', () => {
  test.each(Object.entries(losses))('a recovery, what was not durable is %s: it can be done again', async (_, loss) => {
    const begun = await newImage('aes-256-xts', chunkSize);
    const { store, header, imageKey } = begun;
    const session = new Session(begun, { poolSize: 8 * chunkSize });
    for (const step of beginning) session.apply(step);
    const kept = describeModel(session.root);
    refuseObjects(store, 'EDQUOT');
    session.image.write(session.image.lookup(1, Buffer.from('a')) ?? 0, 10, 20, new Region(20), 0);
    expect(() => session.image.sync()).toThrow(expect.objectContaining({ code: 'io' }));
    store.fault = undefined;
    session.close();
    const from = store.log.length;
    expect(recoverImage(store, header, imageKey).dropped).toContain('"a"');
    for (let crash = from; crash <= store.log.length; crash++) {
      expect(recovered(begun, diskAfter(store.log.slice(0, crash), loss)), `after ${crash}`).toBe(kept);
    }
  });

  test.each(Object.entries(losses))(
    'a beginning, what was not durable is %s: unfinished, or empty',
    async (_, loss) => {
      const begun = await newImage('aes-256-xts', chunkSize);
      const { store } = begun;
      const hasHeader = store.log.findIndex(({ kind }) => kind === 'sync-names') + 1;
      const outcomes = new Set<string>();
      for (let crash = hasHeader; crash <= store.log.length; crash++) {
        const disk = diskAfter(store.log.slice(0, crash), loss);
        if (disk.names.has('journal')) {
          outcomes.add('empty');
          expect(recovered(begun, disk)).toBe('/');
          continue;
        }
        outcomes.add('unfinished');
        expect(() => recovered(begun, disk)).toThrow(expect.objectContaining({ code: 'unfinished' }));
      }
      expect([...outcomes]).toEqual(['unfinished', 'empty']);
    },
  );
});
