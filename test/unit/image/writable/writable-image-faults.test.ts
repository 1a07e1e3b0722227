import { describe, expect, test } from 'vitest';
import { ioErrorName } from '../../../../src/base/errors.ts';
import { recoverImage, sealImage } from '../../../../src/image/writable/close-unsealed.ts';
import { openWritable } from '../../../../src/image/writable/open-writable.ts';
import { systemError } from '../../../support/recording-store.ts';
import type { Operation } from './operations.ts';
import { type BegunImage, describeImage, describeModel, newImage, Session } from './session.ts';

const chunkSize = 4096;
const limits = { pending: 2000, journal: 4000, freed: 12 * chunkSize };

/**
 * Something of everything: whole chunks and parts, a pool that overflows, space given back, journals renewed, a seal
 * and what follows.
 */
const script: readonly Operation[] = [
  { kind: 'create', directory: 0, name: 'a' },
  { kind: 'write', file: 0, offset: 0, length: 10 * chunkSize, seed: 1 },
  { kind: 'mkdir', directory: 0, name: 'b' },
  { kind: 'create', directory: 1, name: 'c' },
  { kind: 'write', file: 1, offset: 100, length: 6 * chunkSize, seed: 2 },
  { kind: 'sync' },
  ...Array.from(
    { length: 7 },
    (_, at): Operation => ({ kind: 'write', file: 1, offset: at * 3 * chunkSize + 5, length: 60, seed: at }),
  ),
  { kind: 'link', file: 0, directory: 1, name: 'd' },
  { kind: 'truncate', file: 0, size: 5 * chunkSize + 77 },
  { kind: 'punch', file: 1, offset: chunkSize, length: 2 * chunkSize + 10 },
  { kind: 'commit' },
  { kind: 'write', file: 0, offset: 0, length: 20 * chunkSize, seed: 3 },
  { kind: 'write', file: 0, offset: 0, length: 20 * chunkSize, seed: 4 },
  { kind: 'sync' },
  { kind: 'rename', entry: 0, directory: 1, name: 'c', how: 'exchange' },
  { kind: 'rename', entry: 0, directory: 1, name: 'd', how: 'replace' },
  { kind: 'remove', entry: 2, keepOpen: true },
  { kind: 'symlink', directory: 0, name: 'e' },
  { kind: 'write', file: 0, offset: chunkSize / 2, length: 3 * chunkSize, seed: 5 },
  { kind: 'release' },
  { kind: 'seal' },
  { kind: 'write', file: 0, offset: 3, length: 2 * chunkSize, seed: 6 },
  { kind: 'punch', file: 0, offset: 0, length: chunkSize },
  { kind: 'sync' },
  { kind: 'create', directory: 0, name: 'f' },
  { kind: 'write', file: 1, offset: 0, length: 100, seed: 7 },
];

async function newSession(onWarning: (line: string) => void): Promise<readonly [BegunImage, Session]> {
  const begun = await newImage('aes-256-xts', chunkSize);
  return [begun, new Session(begun, { poolSize: 4 * chunkSize, limits, onWarning })];
}

/** How many operations of the disk the script makes. */
async function countOperations(): Promise<number> {
  const [begun, session] = await newSession(() => undefined);
  const before = begun.store.log.length;
  for (const step of script) session.apply(step);
  session.close();
  return begun.store.log.length - before;
}

/** Whether an operation was refused because of the injected fault. */
function isRefused(action: () => void, code: string): boolean {
  try {
    action();
    return false;
  } catch (error) {
    if (ioErrorName(error) === code) return true;
    throw error;
  }
}

/** Whether the store refused contents that wait, as changes of names do not tell. */
function hasLost({ image }: Session): boolean {
  return Array.from({ length: 50 }, (_, number) => image.inode(number)).some(
    (inode) => inode?.type === 'file' && inode.lost,
  );
}

/** What is there when the process has ended, and the disk works again. */
function afterCrash({ store, header, imageKey }: BegunImage): string {
  expect(recoverImage(store, header, imageKey)).toEqual({ dropped: undefined });
  const image = openWritable(store, header, imageKey, { poolSize: 1 << 18 });
  const text = describeImage(image);
  image.close();
  sealImage(store, header, imageKey);
  return text;
}

/**
 * Runs the script on a disk that fails from its `at`-th operation on, until the failed step ends. Throws when anything
 * is wrong then.
 */
async function runWithFault(at: number, code: string, isLasting: boolean): Promise<void> {
  const warnings: string[] = [];
  const [begun, session] = await newSession((line) => warnings.push(line));
  const { store } = begun;
  let done = 0;
  const fault = (): Error | undefined => {
    const isHit = isLasting ? done >= at : done === at;
    done++;
    return isHit ? systemError(code) : undefined;
  };
  store.fault = fault;
  const states = [describeModel(session.root)];
  let committed = 0;
  let wasRefused = false;
  let waited = false;
  for (const step of script) {
    if (isRefused(() => session.apply(step), code)) {
      wasRefused = true;
      if (session.isOpen) session.check();
      if (step.kind === 'seal' || !session.isOpen) break;
      store.fault = undefined;
      // Again, now that the disk works: that works too, or nothing does any more.
      if (isRefused(() => session.apply(step), code)) {
        expect(isRefused(() => session.image.commit(), code)).toBe(true);
        session.check();
        break;
      }
    }
    waited ||= hasLost(session);
    states.push(describeModel(session.root));
    if (!['write', 'truncate', 'punch', 'release'].includes(step.kind)) committed = states.length - 1;
  }
  // What there was no room for may have been stored at once where dead chunks had some.
  expect(wasRefused || waited || warnings.length > 0 || code === 'ENOSPC').toBe(true);
  store.fault = undefined;
  if (session.isOpen) session.check();
  if (session.isOpen && hasLost(session)) {
    session.image.commit();
    expect(hasLost(session)).toBe(false);
  }
  session.close();
  expect(states.slice(committed)).toContain(afterCrash(begun));
}

describe('a disk that fails', async () => {
  const total = await countOperations();
  for (const [code, isLasting] of [
    ['ENOSPC', false],
    ['EIO', false],
    ['ENOSPC', true],
  ] as const) {
    test(`${code} ${isLasting ? 'from' : 'at'} each of its operations on: told, nothing changed, nothing lost`, async () => {
      for (let at = 0; at < total; at++) {
        try {
          await runWithFault(at, code, isLasting);
        } catch (cause) {
          throw new Error(`at operation ${at} of ${total}`, { cause });
        }
      }
    });
  }
});
