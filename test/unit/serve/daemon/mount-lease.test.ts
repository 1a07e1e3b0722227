import { closeSync, openSync } from 'node:fs';
import { afterAll, afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Log } from '../../../../src/serve/daemon/log.ts';
import { type LeasedMount, MountLease } from '../../../../src/serve/daemon/mount-lease.ts';
import type { LeaseAnswer } from '../../../../src/serve/leases/answers.ts';
import type { LeaseTerms } from '../../../../src/serve/leases/terms.ts';

const SECONDS = 60;
const nothing = openSync('/dev/null', 'w');
afterAll(() => closeSync(nothing));
beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

const denied = { code: 'key-unavailable', message: 'denied', data: { reason: 'denied' } } as const;
const lost = { code: 'key-unavailable', message: 'lost', data: { reason: 'unreachable' } } as const;
const no: Omit<LeaseAnswer, 'at'> = { verdict: 'revoked', error: denied };
const lostAnswer: Omit<LeaseAnswer, 'at'> = { verdict: 'unreachable', error: lost };

/** Lets a time go by from the start of a lease. Returns what has happened to the mount. */
async function happenedAfter(
  seconds: number,
  answer: Omit<LeaseAnswer, 'at'>,
  terms: Partial<LeaseTerms>,
  canLock = true,
): Promise<{ readonly happened: readonly string[]; readonly lease: MountLease }> {
  const happened: string[] = [];
  const happens = (what: string): void => void happened.push(what);
  const mount: LeasedMount = {
    imageId: '0'.repeat(32),
    mountPoint: '/mnt',
    canLock,
    isCriu: false,
    keyMark: () => 'mark',
    place: { fd: nothing, path: '/enc' },
    log: new Log(undefined, nothing),
    lock: async (why) => happens(`lock ${why}`),
    leave: async (why) => happens(`leave ${why}`),
    note: (event, _result, facts) => happens([event, facts?.reason ?? ''].join(' ').trim()),
  };
  const check = { options: {}, directory: '/', directoryMark: '', environment: {}, timeoutSeconds: 30, shared: false };
  const now = (): number => Date.now() / 1000;
  const all: LeaseTerms = { seconds: SECONDS, onUnreachable: 'keep', check, ...terms };
  const lease = new MountLease(all, mount, async () => ({ at: now(), ...answer }), now);
  lease.start(undefined, undefined);
  await vi.advanceTimersByTimeAsync(seconds * 1000);
  return { happened, lease };
}

describe('a key that may not be used any more', () => {
  test.each([
    [undefined, true, 'lock revoked', 'revoked'],
    [undefined, false, 'leave revoked', 'revoked'],
    ['lock', true, 'lock revoked', 'revoked'],
    ['unmount', true, 'leave revoked', 'revoked'],
    ['unmount', false, 'leave revoked', 'revoked'],
  ] as const)('with %s, where the mount can be locked (%s): %s', async (onRevoked, canLock, last, state) => {
    const { happened, lease } = await happenedAfter(3 * SECONDS, no, { onRevoked }, canLock);
    expect(happened).toEqual(['lease', 'revocation denied', last]);
    expect(lease.status).toMatchObject({
      state,
      secondsLeft: 0,
      renewal: { result: 'revoked', error: 'key-unavailable', reason: 'denied' },
    });
  });

  test('with keep, nothing more', async () => {
    const { happened, lease } = await happenedAfter(SECONDS, no, { onRevoked: 'keep' });
    expect(happened).toEqual(['lease', 'revocation denied']);
    expect(lease.status?.state).toBe('revoked');
  });
});

describe('a service that is not reached', () => {
  test.each([
    [true, 'lock unreachable'],
    [false, 'leave unreachable'],
  ])('with lock, where the mount can be locked (%s): %s', async (canLock, last) => {
    const { happened, lease } = await happenedAfter(3 * SECONDS, lostAnswer, { onUnreachable: 'lock' }, canLock);
    expect(happened.filter((what) => what !== 'unreachable unreachable')).toEqual(['lease', 'expiry', last]);
    expect(lease.status?.state).not.toBe('held');
  });

  test('with keep, a line in the log', async () => {
    const { happened, lease } = await happenedAfter(3 * SECONDS, lostAnswer, {});
    expect(happened.filter((what) => /lock|leave/.test(what))).toEqual([]);
    expect(lease.status).toMatchObject({ state: 'expired', secondsLeft: 0 });
  });
});

test('a key that may be used is noted each time', async () => {
  const { happened, lease } = await happenedAfter(SECONDS, { verdict: 'allowed' }, {});
  expect(happened).toEqual(['lease', 'renewal']);
  expect(lease.status).toMatchObject({ renewal: { result: 'ok' } });
});

test('a key without a lease is not asked for, and has no status', async () => {
  const { happened, lease } = await happenedAfter(3 * SECONDS, no, { seconds: undefined });
  expect([happened, lease.status]).toEqual([[], undefined]);
});
