import { expect, test } from 'vitest';
import { CkptfsError } from '../../../../src/base/errors.ts';
import { judged } from '../../../../src/serve/leases/judged.ts';

const unavailable = (
  reason:
    | 'denied'
    | 'revoked'
    | 'absent'
    | 'unreachable'
    | 'timeout'
    | 'refused'
    | 'certificate'
    | 'garbage'
    | 'command-failed'
    | 'wrong-pin'
    | 'pin-locked',
) => new CkptfsError('key-unavailable', reason, { data: { reason } });
const badFile = (reason: 'missing' | 'absent' | 'expired' | 'revoked' | 'unreadable' | 'no-terminal') =>
  new CkptfsError('bad-key-file', reason, { data: { reason } });

test.each([
  ...(['denied', 'revoked', 'absent'] as const).map(unavailable),
  ...(['missing', 'absent', 'expired', 'revoked'] as const).map(badFile),
  new CkptfsError('wrong-key', 'opens no slot'),
  new CkptfsError('no-key', 'none', { data: { needs: 'key' } }),
  new CkptfsError('not-an-image', 'shredded', { data: { reason: 'shredded' } }),
  new CkptfsError('forbidden-by-policy', 'no', { data: { reason: 'key-source' } }),
])('%s says that the key may not be used', (error) => {
  expect(judged(error)).toEqual({ verdict: 'revoked' });
});

test.each([
  ...(['unreachable', 'timeout', 'refused', 'certificate', 'garbage', 'command-failed'] as const).map(unavailable),
  ...(['unreadable', 'no-terminal'] as const).map(badFile),
  new CkptfsError('io', 'input/output error'),
  new CkptfsError('damaged', 'the header fails'),
  new CkptfsError('not-an-image', 'the header is gone', { data: { reason: 'no-header' } }),
  new CkptfsError('interrupted', 'by a signal'),
])('%s says nothing of the key', (error) => {
  expect(judged(error)).toEqual({ verdict: 'unreachable' });
});

test.each(['wrong-pin', 'pin-locked'] as const)('%s ends the questions', (reason) => {
  expect(judged(unavailable(reason))).toEqual({ verdict: 'revoked', isLast: true });
});
