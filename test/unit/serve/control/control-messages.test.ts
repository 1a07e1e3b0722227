import { expect, test } from 'vitest';
import { counterNames } from '../../../../src/base/counters.ts';
import { isStatus } from '../../../../src/serve/control/control-messages.ts';

/** The answer of a daemon whose key has a lease. */
function answer(lease: unknown): unknown {
  return {
    state: 'serving',
    ...{ mountPoint: '/mnt', device: '0:40', location: '/enc', imageId: '0'.repeat(32), transport: 'kernel' },
    ...{ workers: 1, scratch: false, write: false, uptimeSeconds: 1 },
    key: { locked: false, lease },
    counters: Object.fromEntries(counterNames.map((name) => [name, 0])),
    options: {
      allowOther: false,
      allowRoot: false,
      noExec: false,
      fsName: '/enc',
      cacheSize: 1,
      pageFiles: 'auto',
      logFormat: 'text',
    },
  };
}

const renewal = { result: 'revoked', secondsAgo: 1, error: 'key-unavailable', reason: 'denied' };

test.each([
  undefined,
  { state: 'held', secondsLeft: 5 },
  { state: 'revoked', secondsLeft: 0, renewal },
  { state: 'expired', secondsLeft: 0, renewal: { result: 'unreachable', secondsAgo: 0 } },
])('an answer with the lease %j is one', (lease) => {
  expect(isStatus(answer(lease))).toBe(true);
});

test.each([
  'held',
  { state: 'held' },
  { state: '\x1b[2J', secondsLeft: 5 },
  { state: 'held', secondsLeft: '5' },
  { state: 'held', secondsLeft: 5, renewal: { ...renewal, result: 'fine' } },
  { state: 'held', secondsLeft: 5, renewal: { ...renewal, secondsAgo: null } },
  { state: 'held', secondsLeft: 5, renewal: { ...renewal, reason: 7 } },
])('an answer with the lease %j is none', (lease) => {
  expect(isStatus(answer(lease))).toBe(false);
});
