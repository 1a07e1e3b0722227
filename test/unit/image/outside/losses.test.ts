import { expect, test } from 'vitest';
import { lossLines } from '../../../../src/cli/terminal/losses.ts';
import { Losses } from '../../../../src/image/outside/losses.ts';

const failing = (code: string) => () => {
  throw Object.assign(new Error(code), { code });
};
const reasons = new Set(['EPERM', 'ENOTSUP']);

test('refusals are counted, some are named, and other errors are thrown', () => {
  const losses = new Losses();
  const tried: string[] = [];
  for (let at = 0; at < 25; at++) {
    expect(losses.attempt('attributes', reasons, () => `f${at}`, failing('ENOTSUP'))).toBe(false);
  }
  const each = [failing('EPERM'), () => void tried.push('second'), failing('ENOTSUP')];
  expect(losses.attemptEach('mode', reasons, () => 'd', each)).toBe(false);
  expect(
    losses.attempt(
      'times',
      reasons,
      () => 'e',
      () => undefined,
    ),
  ).toBe(true);
  expect(() => losses.attempt('owner', reasons, () => 'e', failing('EIO'))).toThrow('EIO');
  expect(tried).toEqual(['second']);
  const list = losses.list();
  expect(list).toMatchObject([
    { kind: 'attributes', count: 25 },
    { kind: 'mode', count: 1, examples: [{ path: 'd', reason: 'EPERM' }] },
  ]);
  expect(list[0]?.examples.length).toBe(10);
  const lines = lossLines(list);
  expect(lines.length).toBe(13);
  expect(lines).toContain('could not keep extended attributes of f3 (ENOTSUP)');
  expect(lines).toContain('could not keep extended attributes of 15 more');
  expect(lines.at(-1)).toBe('everything else was kept; missing: extended attributes of 25 files, the mode of 1 file');
});

test('a long path is shortened in the middle', () => {
  const losses = new Losses();
  losses.add('entry', () => `start/${'n/'.repeat(100_000)}end`, 'ENAMETOOLONG');
  const { path = '' } = losses.list()[0]?.examples[0] ?? {};
  expect(path.length).toBeLessThanOrEqual(400);
  expect(path).toMatch(/^start\/.*….*end$/);
});
