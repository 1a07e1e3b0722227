import { expect, test } from 'vitest';
import { thisHost } from '../../../../src/cli/doctor/host.ts';

test('soft-dirty tracking is tried on memory of this process, with the same result each time', () => {
  expect(thisHost.tracksWrites()).toBe(thisHost.tracksWrites());
});
