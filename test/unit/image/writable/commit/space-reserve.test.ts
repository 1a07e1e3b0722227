import { expect, test } from 'vitest';
import { ioErrorName } from '../../../../../src/base/errors.ts';
import { SpaceReserve } from '../../../../../src/image/writable/commit/space-reserve.ts';
import type { WritableStore } from '../../../../../src/stores/writable-store.ts';

const MIB = 1 << 20;

/** A store of so many bytes, of which so many are free; both may change. */
function storeOf(space: { size: number; free: number }): WritableStore {
  return {
    location: 'store',
    space: () => ({
      blockSize: 4096,
      blocks: space.size / 4096,
      freeBlocks: space.free / 4096,
    }),
  } as unknown as WritableStore;
}

const nothing = (): number => 0;

function refused(act: () => void): string | undefined {
  try {
    act();
    return undefined;
  } catch (error) {
    return ioErrorName(error);
  }
}

test('of a small store 4 MiB stay free', () => {
  const reserve = new SpaceReserve(storeOf({ size: 32 * MIB, free: 6 * MIB }), nothing);
  expect(reserve.has(2 * MIB)).toBe(true);
  reserve.take(2 * MIB);
  expect(refused(() => reserve.take(3 * MIB))).toBe('ENOSPC');
});

test('of a large one a 64th, and 64 MiB at most', () => {
  expect(new SpaceReserve(storeOf({ size: 1024 * MIB, free: 17 * MIB }), nothing).has(2 * MIB)).toBe(false);
  expect(new SpaceReserve(storeOf({ size: 1024 * MIB, free: 19 * MIB }), nothing).has(2 * MIB)).toBe(true);
  expect(new SpaceReserve(storeOf({ size: 2 ** 40, free: 66 * MIB }), nothing).has(2 * MIB)).toBe(true);
});

test('says that nothing can be written where no more is free than is kept', () => {
  expect(new SpaceReserve(storeOf({ size: 32 * MIB, free: 5 * MIB }), nothing).shortage()).toBeUndefined();
  expect(new SpaceReserve(storeOf({ size: 32 * MIB, free: 3 * MIB }), nothing).shortage()).toBe(
    'nothing can be written: 3145728 bytes are free, and at least 4194304 are kept free',
  );
});

test('looks again when what it saw is used up', () => {
  const space = { size: 32 * MIB, free: 16 * MIB };
  const reserve = new SpaceReserve(storeOf(space), nothing);
  reserve.take(MIB);
  space.free = 4 * MIB;
  expect(refused(() => reserve.take(4 * MIB))).toBe('ENOSPC');
  space.free = 16 * MIB;
  expect(refused(() => reserve.take(4 * MIB))).toBeUndefined();
});

test('counts what waits to be written', () => {
  let waiting = 3 * MIB;
  const reserve = new SpaceReserve(storeOf({ size: 32 * MIB, free: 8 * MIB }), () => waiting);
  expect(refused(() => reserve.take(2 * MIB))).toBe('ENOSPC');
  waiting = 2 * MIB;
  expect(refused(() => reserve.take(2 * MIB))).toBeUndefined();
});
