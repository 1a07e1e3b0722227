import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Lease, type LeaseRules } from '../../../../src/serve/daemon/lease.ts';
import type { LeaseAnswer } from '../../../../src/serve/leases/answers.ts';

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

const HOUR = 3600;
const revoked = { code: 'key-unavailable', message: 'revoked', data: { reason: 'revoked' } } as const;
const unreachable = { code: 'key-unavailable', message: 'no connection', data: { reason: 'unreachable' } } as const;

type Said = Omit<LeaseAnswer, 'at'> & { readonly at?: number };
const allowed: Said = { verdict: 'allowed' };
const noMore: Said = { verdict: 'revoked', error: revoked };
const nobody: Said = { verdict: 'unreachable', error: unreachable };

/** A lease whose service says one thing until it says another; a host that can be suspended. */
function host(rules: Partial<LeaseRules> = {}, random = 0) {
  let [said, suspended, delay]: [Said, number, number] = [allowed, 0, 0];
  const [start, events, asked]: [number, string[], number[]] = [Date.now(), [], []];
  const now = (): number => Math.round((Date.now() - start) / 1000 + suspended);
  let onRevoked = (): void => undefined;
  const lease: Lease = new Lease(
    { seconds: HOUR, onUnreachable: 'keep', ...rules },
    {
      ask: async () => {
        asked.push(now());
        const at = now();
        if (delay > 0) await new Promise((resolve) => setTimeout(resolve, delay * 1000));
        return { at, ...said };
      },
      heard: ({ verdict }) => {
        events.push(verdict);
        if (verdict === 'revoked') onRevoked();
      },
      expired: () => events.push('expired'),
      graceOver: () => events.push('grace over'),
    },
    now,
    () => random,
  );
  return {
    lease,
    events,
    asked,
    now,
    says: (next: Said, after = 0) => {
      said = next;
      delay = after;
    },
    whenRevoked: (work: () => void) => {
      onRevoked = work;
    },
    run: (seconds: number) => vi.advanceTimersByTimeAsync(seconds * 1000),
    suspend: (seconds: number) => {
      suspended += seconds;
    },
  };
}

describe('a key that may be used', () => {
  test.each([
    [0, 2400],
    [1, 2040],
  ])('with the random number %d is asked for after %d seconds, and so on', async (random, first) => {
    const { lease, asked, events, run } = host({}, random);
    lease.start(0);
    await run(first - 10);
    expect([asked, lease.state, lease.secondsLeft]).toEqual([[], 'held', HOUR - first + 10]);
    await run(2 * first + 30);
    expect(asked.map((at) => Math.round(at / first))).toEqual([1, 2, 3]);
    expect(events).toEqual(['allowed', 'allowed', 'allowed']);
    expect(lease.last?.verdict).toBe('allowed');
  });

  test('is asked for at once when the host was suspended beyond that', async () => {
    const { lease, asked, run, suspend } = host();
    lease.start(0);
    await run(100);
    suspend(2900);
    await run(5);
    expect(asked.length).toBe(1);
    expect(lease.state).toBe('held');
  });

  test('has the shorter of two leases, and the one that the service says now', async () => {
    const { lease, asked, run, says } = host();
    lease.start(0, 600);
    expect(lease.secondsLeft).toBe(600);
    says({ verdict: 'allowed', leaseSeconds: 60 });
    await run(405);
    expect(asked.length).toBe(1);
    expect(lease.secondsLeft).toBeLessThanOrEqual(60);
    says({ verdict: 'allowed', leaseSeconds: 2 * HOUR });
    await run(50);
    expect([asked.length, lease.secondsLeft > HOUR - 60]).toEqual([2, true]);
  });

  test('has a lease by the service alone, or none, where the mount was told none', async () => {
    const { lease } = host({ seconds: undefined });
    lease.start(0);
    expect([lease.isRunning, lease.secondsLeft]).toEqual([false, 0]);
    lease.start(0, 60);
    expect([lease.isRunning, lease.secondsLeft]).toEqual([true, 60]);
  });

  test('counts from when it was fetched', () => {
    const { lease } = host();
    lease.start(-HOUR / 2);
    expect(lease.secondsLeft).toBe(HOUR / 2);
  });
});

describe('a service that is not reached', () => {
  test('is asked again soon, and the lease is held once it answers', async () => {
    const { lease, asked, events, run, says, now } = host();
    says(nobody);
    lease.start(0);
    await run(2400 + 900);
    expect(asked.length).toBe(4);
    expect(events).toEqual(Array(4).fill('unreachable'));
    expect([lease.state, lease.secondsLeft]).toEqual(['held', HOUR - now()]);
    says(allowed);
    await run(310);
    expect([events.at(-1), lease.state]).toEqual(['allowed', 'held']);
    expect(lease.secondsLeft).toBeGreaterThan(HOUR - 320);
  });

  test.each([
    ['keep', undefined, undefined],
    ['lock', undefined, 2 * HOUR],
    ['lock', 60, HOUR + 60],
  ] as const)('with %s and a grace of %s seconds', async (onUnreachable, graceSeconds, lockedAt) => {
    const { lease, events, run, says } = host({ onUnreachable, graceSeconds });
    says(nobody);
    lease.start(0);
    await run(HOUR - 10);
    expect(events).not.toContain('expired');
    await run(20);
    expect([events.filter((event) => event === 'expired').length, lease.state, lease.secondsLeft]).toEqual([
      1,
      'expired',
      0,
    ]);
    if (lockedAt !== undefined) await run(lockedAt - HOUR - 20);
    expect(events).not.toContain('grace over');
    await run(20);
    expect(events.includes('grace over')).toBe(lockedAt !== undefined);
    says(allowed);
    await run(310);
    expect(lease.state).toBe('held');
  });

  test('that does not answer at all lets the grace be over all the same', async () => {
    const { lease, events, run, says } = host({ onUnreachable: 'lock', graceSeconds: 60 });
    says(allowed, 100 * HOUR);
    lease.start(0);
    await run(HOUR + 100);
    expect(events).toEqual(['expired', 'grace over']);
  });
});

describe('a key that may not be used any more', () => {
  test('ends the lease where the mount is locked then', async () => {
    const { lease, asked, events, run, says, whenRevoked } = host({ onUnreachable: 'lock' });
    whenRevoked(() => lease.stop());
    says(noMore);
    lease.start(0);
    await run(2410);
    expect([events, lease.state, lease.isRunning]).toEqual([['revoked'], 'revoked', false]);
    says(allowed);
    await run(10 * HOUR);
    expect([asked.length, events, lease.last?.verdict]).toEqual([1, ['revoked'], 'revoked']);
    lease.start(11 * HOUR);
    expect([lease.state, lease.isRunning, lease.last]).toEqual(['held', true, undefined]);
  });

  test('is asked for once in a lease where the mount keeps it, until it may be used again', async () => {
    const { lease, asked, events, run, says } = host();
    says(noMore);
    lease.start(0);
    await run(2 * 2400 + 10);
    expect([asked.length, events, lease.state]).toEqual([2, ['revoked', 'revoked'], 'revoked']);
    says(nobody);
    await run(2410);
    expect([lease.state, events.includes('expired')]).toEqual(['revoked', false]);
    says(allowed);
    await run(310);
    expect(lease.state).toBe('held');
  });

  test('is never asked for again where that might use up the tries of a PIN', async () => {
    const { lease, asked, run, says } = host();
    says({ ...noMore, isLast: true });
    lease.start(0);
    await run(100 * HOUR);
    expect([asked.length, lease.state]).toEqual([1, 'revoked']);
  });
});

test('an answer that comes after the lease was stopped is dropped', async () => {
  const { lease, events, run, says } = host();
  says(noMore, 10);
  lease.start(0);
  await run(2405);
  lease.stop();
  await run(10 * HOUR);
  expect([events, lease.last]).toEqual([[], undefined]);
});

test('only what was heard later than before, and in half a lease, counts', async () => {
  const asked: number[] = [];
  const start = Date.now();
  const now = (): number => (Date.now() - start) / 1000;
  const host = {
    ask: async (after: number) => {
      asked.push(after);
      return { verdict: 'allowed', at: now() } as const;
    },
    heard: () => undefined,
    expired: () => undefined,
    graceOver: () => undefined,
  };
  const lease = new Lease({ seconds: HOUR, onUnreachable: 'keep' }, host, now, () => 0);
  lease.start(0);
  await vi.advanceTimersByTimeAsync(2_410_000);
  expect(asked.map(Math.round)).toEqual([600]);
});
