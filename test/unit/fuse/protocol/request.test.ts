import { expect, test } from 'vitest';
import { Errno } from '../../../../src/base/errno.ts';
import { Region } from '../../../../src/base/linux/native.ts';
import { Request } from '../../../../src/fuse/protocol/request.ts';
import { encodeRequest, u64s } from '../../../support/fuse/request-encoder.ts';

const invalid = Errno.of('EINVAL');

/** Makes a request with this body, in memory that continues after it. */
function opened(body: Uint8Array): Request {
  const bytes = encodeRequest({ opcode: 1, body });
  const memory = new Region(Buffer.concat([bytes, Buffer.alloc(64, 0x41), Buffer.of(0)]));
  const request = new Request(memory);
  expect(request.open(memory, bytes.length)).toBe(true);
  request.readHeader();
  return request;
}

test("reads numbers only where all their bytes are the request's", () => {
  const request = opened(u64s(5, 6));
  expect([request.u64(0), request.u64(8), request.u32(8), request.u32(12)]).toEqual([5, 6, 6, 0]);
  for (let at = 9; at < 24; at++) expect(() => request.u64(at)).toThrow(invalid);
  for (let at = 13; at < 24; at++) expect(() => request.u32(at)).toThrow(invalid);
});

test('reads 64-bit numbers exactly or not at all', () => {
  const values = [0n, 2n ** 32n, 2n ** 32n + 1n, 2n ** 53n - 1n];
  const request = opened(u64s(...values, 2n ** 53n, 2n ** 64n - 1n));
  expect(values.map((_, index) => BigInt(request.u64(index * 8)))).toEqual(values);
  for (const at of [32, 40]) expect(() => request.u64(at)).toThrow(Errno.of('EOVERFLOW'));
});

test('refuses a name that ends after the request', () => {
  expect(Buffer.from(opened(Buffer.from('name\0')).name(0)).toString()).toBe('name');
  expect(Buffer.from(opened(Buffer.from('12345678x\0')).name(8)).toString()).toBe('x');
  expect(() => opened(Buffer.from('name')).name(0)).toThrow(invalid);
  expect(() => opened(Buffer.from('name\0')).name(4)).toThrow(invalid);
  expect(() => opened(Buffer.from('name\0')).name(40)).toThrow(invalid);
});

test('reads signed numbers exactly or not at all', () => {
  const values = [0n, -1n, 2n ** 53n - 1n, 1n - 2n ** 53n, -(2n ** 32n)];
  const request = opened(u64s(...values.map((value) => BigInt.asUintN(64, value)), 2n ** 53n, 2n ** 64n - 2n ** 53n));
  expect(values.map((_, index) => BigInt(request.s64(index * 8)))).toEqual(values);
  for (const at of [40, 48]) expect(() => request.s64(at)).toThrow(Errno.of('EOVERFLOW'));
  for (let at = 49; at < 64; at++) expect(() => request.s64(at)).toThrow(invalid);
});

test('calls a place in a file beyond 2^53 too big a file', () => {
  const request = opened(u64s(2n ** 53n - 1n, 2n ** 53n));
  expect(request.u64(0, 'EFBIG')).toBe(2 ** 53 - 1);
  expect(() => request.u64(8, 'EFBIG')).toThrow(Errno.of('EFBIG'));
  for (let at = 9; at < 24; at++) expect(() => request.u64(at, 'EFBIG')).toThrow(invalid);
});

test('finds data only where they are all of the rest', () => {
  const request = opened(Buffer.from('12345678data'));
  const start = request.data(8, 4);
  expect(request.memory.bytes.toString('latin1', start, start + 4)).toBe('data');
  expect(request.data(12, 0)).toBe(start + 4);
  for (const [offset, length] of [
    [8, 3],
    [8, 5],
    [9, 4],
    [100, 0],
    [0, 2 ** 32 - 1],
  ] as const) {
    expect(() => request.data(offset, length)).toThrow(invalid);
  }
});

test('tells two names apart at the NUL', () => {
  const request = opened(Buffer.from('first\0second\0'));
  expect(Buffer.from(request.firstName(0)).toString()).toBe('first');
  expect(Buffer.from(request.name(6)).toString()).toBe('second');
  expect(() => request.name(0)).toThrow(invalid);
  expect(() => request.firstName(5)).toThrow(invalid);
  expect(() => request.firstName(13)).toThrow(invalid);
  expect(() => opened(Buffer.from('first')).firstName(0)).toThrow(invalid);
});

test('lets a slash be in targets and names of attributes, and in no other name', () => {
  const request = opened(Buffer.from('a/b\0'));
  for (const text of [request.target(0), request.attribute(0), request.firstAttribute(0)]) {
    expect(Buffer.from(text).toString()).toBe('a/b');
  }
  for (const refused of [() => request.name(0), () => request.firstName(0)]) expect(refused).toThrow(invalid);
  const long = opened(Buffer.concat([Buffer.alloc(4096, 0x61), Buffer.of(0)]));
  expect(long.target(1).length).toBe(4095);
  for (const refused of [() => long.target(0), () => long.attribute(3840), () => long.firstAttribute(3840)]) {
    expect(refused).toThrow(Errno.of('ENAMETOOLONG'));
  }
});

test('knows on whose behalf it is made', () => {
  const bytes = encodeRequest({ opcode: 1, uid: 1000, gid: 2 ** 32 - 1 });
  const memory = new Region(bytes);
  const request = new Request(memory);
  request.open(memory, bytes.length);
  request.readHeader();
  expect(request.caller()).toEqual({ uid: 1000, gid: 2 ** 32 - 1 });
});
