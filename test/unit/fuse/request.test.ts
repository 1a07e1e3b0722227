import { expect, it } from 'vitest';
import { Region } from '../../../src/base/native.ts';
import { Errno } from '../../../src/fuse/filesystem.ts';
import { Request } from '../../../src/fuse/request.ts';
import { encodeRequest, u64s } from './request-encoder.ts';

const invalid = Errno.of('EINVAL');

/** A request whose body is `body`, in memory that goes on behind it. */
function opened(body: Uint8Array): Request {
  const bytes = encodeRequest({ opcode: 1, body });
  const memory = new Region(Buffer.concat([bytes, Buffer.alloc(64, 0x41), Buffer.of(0)]));
  const request = new Request(memory);
  expect(request.open(memory, bytes.length)).toBe(true);
  request.readHeader();
  return request;
}

it("reads numbers only where all their bytes are the request's", () => {
  const request = opened(u64s(5, 6));
  expect([request.u64(0), request.u64(8), request.u32(8), request.u32(12)]).toEqual([5, 6, 6, 0]);
  for (let at = 9; at < 24; at++) expect(() => request.u64(at)).toThrow(invalid);
  for (let at = 13; at < 24; at++) expect(() => request.u32(at)).toThrow(invalid);
});

it('reads 64-bit numbers exactly or not at all', () => {
  const values = [0n, 2n ** 32n, 2n ** 32n + 1n, 2n ** 53n - 1n];
  const request = opened(u64s(...values, 2n ** 53n, 2n ** 64n - 1n));
  expect(values.map((_, index) => BigInt(request.u64(index * 8)))).toEqual(values);
  for (const at of [32, 40]) expect(() => request.u64(at)).toThrow(Errno.of('EOVERFLOW'));
});

it('takes no name that ends behind the request', () => {
  expect(Buffer.from(opened(Buffer.from('name\0')).name(0)).toString()).toBe('name');
  expect(Buffer.from(opened(Buffer.from('12345678x\0')).name(8)).toString()).toBe('x');
  expect(() => opened(Buffer.from('name')).name(0)).toThrow(invalid);
  expect(() => opened(Buffer.from('name\0')).name(4)).toThrow(invalid);
  expect(() => opened(Buffer.from('name\0')).name(40)).toThrow(invalid);
});
