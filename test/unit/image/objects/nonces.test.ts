import { afterEach, expect, test, vi } from 'vitest';
import { Region } from '../../../../src/base/linux/native.ts';
import * as systemRandom from '../../../../src/crypto/system-random.ts';
import { Geometry } from '../../../../src/format/geometry.ts';
import { Nonces } from '../../../../src/image/objects/nonces.ts';

vi.mock('../../../../src/crypto/system-random.ts', { spy: true });
afterEach(() => vi.clearAllMocks());

const geometry = new Geometry(4096);

function taken(nonces: Nonces, count: number): string[] {
  const to = new Region(32);
  return Array.from({ length: count }, () => {
    nonces.take(to, 8, geometry);
    expect(to.bytes.subarray(0, 8)).toEqual(Buffer.alloc(8));
    return to.bytes.subarray(8, 20).toString('hex');
  });
}

/** How many bytes each call drew. */
function drawn(): number[] {
  return vi.mocked(systemRandom.fillRandom).mock.calls.map(([, , length]) => length ?? -1);
}

test('one call draws what a batch needs, and nothing for the next', () => {
  const nonces = new Nonces();
  nonces.begin(64);
  const first = taken(nonces, 64);
  expect(drawn()).toEqual([64 * 12]);
  expect(() => taken(nonces, 1)).toThrow('invariant W2 is broken');
  nonces.begin(3);
  const second = taken(nonces, 2);
  // The third is dropped: a process that is resumed twice here shares nothing with its twin.
  nonces.begin(1);
  const third = taken(nonces, 1);
  expect(drawn()).toEqual([64 * 12, 3 * 12, 12]);
  expect(new Set([...first, ...second, ...third]).size).toBe(67);
});

test('a batch of more than 1,024 chunks draws as it goes', () => {
  const nonces = new Nonces();
  nonces.begin(2049);
  expect(drawn()).toEqual([1024 * 12]);
  expect(new Set(taken(nonces, 2049)).size).toBe(2049);
  expect(drawn()).toEqual([1024 * 12, 1024 * 12, 12]);
  expect(() => taken(nonces, 1)).toThrow('invariant W2 is broken');
});
