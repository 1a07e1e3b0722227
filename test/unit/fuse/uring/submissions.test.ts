import { expect, test } from 'vitest';
import { Region } from '../../../../src/base/linux/native.ts';
import { RingEntry } from '../../../../src/fuse/uring/ring-entry.ts';
import { fillCommit, fillPoll, fillRegister } from '../../../../src/fuse/uring/submissions.ts';

// Expected bytes are laid out from io_uring.h and fuse.h, independently of the tables in src.

const memory = new Region(RingEntry.memoryFor(4096));
const entry = new RingEntry(0x0203, memory);
const AT = 128;

function filled(fill: (to: DataView) => void): Buffer {
  const whole = Buffer.alloc(3 * 128);
  fill(new DataView(whole.buffer, whole.byteOffset, whole.length));
  expect(whole.subarray(0, AT).every((byte) => byte === 0)).toBe(true);
  expect(whole.subarray(AT + 128).every((byte) => byte === 0)).toBe(true);
  return whole.subarray(AT, AT + 128);
}

function command(operation: number): Buffer {
  const expected = Buffer.alloc(128);
  expected.writeUInt8(46, 0);
  expected.writeInt32LE(21, 4);
  expected.writeUInt32LE(operation, 8);
  expected.writeBigUInt64LE(5n, 32);
  expected.writeUInt16LE(0x0203, 48 + 16);
  return expected;
}

test('an entry is registered', () => {
  const expected = command(1);
  expected.writeBigUInt64LE(BigInt(entry.vector.address), 16);
  expected.writeUInt32LE(2, 24);
  expect(filled((to) => fillRegister(to, AT, 21, entry, 5))).toEqual(expected);
});

test('a reply is handed over with the number of its request', () => {
  memory.view.setBigUint64(256 + 8, 0xfedc_ba98_7654_3210n, true);
  const expected = command(2);
  expected.writeBigUInt64LE(0xfedc_ba98_7654_3210n, 48 + 8);
  expect(filled((to) => fillCommit(to, AT, 21, entry, 5))).toEqual(expected);
});

test('a descriptor is watched', () => {
  const expected = Buffer.alloc(128);
  expected.writeUInt8(6, 0);
  expected.writeInt32LE(9, 4);
  expected.writeUInt32LE(1, 28);
  expected.writeBigUInt64LE(0xffffn, 32);
  expect(filled((to) => fillPoll(to, AT, 9, 0xffff))).toEqual(expected);
});
