import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { KeyTtl } from '../../../../src/serve/daemon/key-ttl.ts';

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

/** A host that can be suspended: then its clock goes on, but no timer does. */
function host(seconds: number) {
  let suspended = 0;
  const start = Date.now();
  let overs = 0;
  const now = (): number => (Date.now() - start) / 1000 + suspended;
  const ttl = new KeyTtl(seconds, () => overs++, now);
  return {
    ttl,
    times: () => overs,
    run: (more: number) => vi.advanceTimersByTime(more * 1000),
    suspend: (more: number) => {
      suspended += more;
    },
  };
}

test('a time is over once, when it is, and can begin anew', () => {
  const { ttl, times, run } = host(60);
  ttl.start();
  run(59);
  expect([times(), ttl.secondsLeft]).toEqual([0, 1]);
  run(2);
  expect([times(), ttl.secondsLeft]).toEqual([1, undefined]);
  run(600);
  ttl.start();
  run(30);
  ttl.start();
  run(59);
  expect(times()).toBe(1);
  run(2);
  expect(times()).toBe(2);
  ttl.start();
  ttl.stop();
  run(600);
  expect(times()).toBe(2);
});

test('the time that the host is suspended counts: it is over at most 5 seconds after that', () => {
  const { ttl, times, run, suspend } = host(8 * 3600);
  ttl.start();
  run(60);
  suspend(7 * 3600);
  run(5);
  expect([times(), ttl.secondsLeft]).toEqual([0, 3600 - 65]);
  suspend(3600);
  run(5);
  expect(times()).toBe(1);
});
