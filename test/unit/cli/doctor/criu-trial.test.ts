import { expect, test } from 'vitest';
import { reasonIn } from '../../../../src/cli/doctor/criu-trial.ts';

test('the log of criu becomes a reason', () => {
  const log = [
    "(00.000001) Error (criu/rlimit.c:5): Can't setup RLIMIT_NOFILE for self: Operation not permitted",
    '(00.001) Dumping',
    '(00.012345) Error (criu/a.c:1): first',
    '(00.012346) Error (criu/b.c:2): second',
  ].join('\n');
  expect(reasonIn(log)).toBe('Error (criu/a.c:1): first; Error (criu/b.c:2): second');
  expect(reasonIn('sh: criu: not found\n\n')).toBe('sh: criu: not found');
  expect(reasonIn('')).toBe('it gives no reason');
});
