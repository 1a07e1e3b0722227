import { existsSync } from 'node:fs';
import { expect, test } from 'vitest';
import { checkRings, RING_SWITCH, readRingSwitch, ringSwitchOf } from '../../../../src/fuse/uring/switch.ts';

test.each([
  ['Y\n', 'on'],
  ['N\n', 'off'],
  ['', 'off'],
  ['1\n', 'off'],
])('the text %j of the switch says that it is %s', (text, state) => {
  expect(ringSwitchOf(text)).toBe(state);
});

test('a kernel without the switch has none', () => {
  expect(readRingSwitch() === 'absent').toBe(!existsSync(RING_SWITCH));
});

test('what is missing is said by the words of the errors', () => {
  const missing = { on: undefined, off: 'fuse-io-uring-switch', absent: 'fuse-io-uring' }[readRingSwitch()];
  if (missing === undefined) expect(checkRings).not.toThrow();
  else expect(checkRings).toThrow(expect.objectContaining({ code: 'missing-feature', data: { feature: missing } }));
});
