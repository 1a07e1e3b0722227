import { expect, test } from 'vitest';
import { ioErrorName } from '../../../../src/base/errors.ts';
import { StoreRoom } from '../../../../src/image/writable/commit/store-room.ts';
import type { WritableStore } from '../../../../src/stores/writable-store.ts';

const MIB = 1 << 20;

/** A store of so many bytes, of which so many are free; both may change. */
function storeOf(space: { size: number; free: number }): WritableStore {
  return {
    location: 'store',
    space: () => ({
      blockSize: 4096,
      blocks: space.size / 4096,
      freeBlocks: space.free / 4096,
      files: 0,
      freeFiles: 0,
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
  const room = new StoreRoom(storeOf({ size: 32 * MIB, free: 6 * MIB }), nothing);
  expect(room.has(2 * MIB)).toBe(true);
  room.claim(2 * MIB);
  expect(refused(() => room.claim(3 * MIB))).toBe('ENOSPC');
});

test('of a large one a 64th, and 64 MiB at most', () => {
  expect(new StoreRoom(storeOf({ size: 1024 * MIB, free: 17 * MIB }), nothing).has(2 * MIB)).toBe(false);
  expect(new StoreRoom(storeOf({ size: 1024 * MIB, free: 19 * MIB }), nothing).has(2 * MIB)).toBe(true);
  expect(new StoreRoom(storeOf({ size: 2 ** 40, free: 66 * MIB }), nothing).has(2 * MIB)).toBe(true);
});

test('says that nothing can be written where no more is free than is kept', () => {
  expect(new StoreRoom(storeOf({ size: 32 * MIB, free: 5 * MIB }), nothing).shortage()).toBeUndefined();
  expect(new StoreRoom(storeOf({ size: 32 * MIB, free: 3 * MIB }), nothing).shortage()).toBe(
    'nothing can be written: 3145728 bytes are free, and at least 4194304 are kept free',
  );
});

test('looks again when what it saw is used up', () => {
  const space = { size: 32 * MIB, free: 16 * MIB };
  const room = new StoreRoom(storeOf(space), nothing);
  room.claim(MIB);
  space.free = 4 * MIB;
  expect(refused(() => room.claim(4 * MIB))).toBe('ENOSPC');
  space.free = 16 * MIB;
  expect(refused(() => room.claim(4 * MIB))).toBeUndefined();
});

test('counts what waits to be written', () => {
  let waiting = 3 * MIB;
  const room = new StoreRoom(storeOf({ size: 32 * MIB, free: 8 * MIB }), () => waiting);
  expect(refused(() => room.claim(2 * MIB))).toBe('ENOSPC');
  waiting = 2 * MIB;
  expect(refused(() => room.claim(2 * MIB))).toBeUndefined();
});
