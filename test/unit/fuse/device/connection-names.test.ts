// Lookups and attributes: feeds encoded requests to a connection on a tree in memory.
import { constants } from 'node:os';
import { beforeEach, describe, expect, test } from 'vitest';
import { Connection } from '../../../../src/fuse/device/connection.ts';
import { Opcode } from '../../../../src/fuse/protocol/abi.ts';
import { nameBody, u32s } from '../../../support/fuse/request-encoder.ts';
import { ask, content, directory, errorOf, faults, file, link, serveAnew, tree, year } from './served-tree.ts';

const { errno } = constants;

beforeEach(serveAnew);

describe('INIT', () => {
  const initBody = (major: number, minor: number, flags: number) =>
    Buffer.concat([u32s(major, minor, 131_072, flags >>> 0, 0xffffffff), Buffer.alloc(44)]);

  test('agrees with a kernel of today on version, sizes and flags', () => {
    const { error, body } = ask({ opcode: Opcode.FUSE_INIT, node: 0, body: initBody(7, 45, 0xffffffff) });
    expect(error).toBe(0);
    expect(body.length).toBe(64);
    expect([0, 4, 8].map((at) => body.readUInt32LE(at))).toEqual([7, 45, 1 << 20]);
    const flags = body.readUInt32LE(12);
    // ASYNC_READ, EXPORT_SUPPORT, BIG_WRITES, DO_READDIRPLUS, ASYNC_DIO, PARALLEL_DIROPS, MAX_PAGES, CACHE_SYMLINKS,
    // INIT_EXT
    expect(flags).toBe([0, 4, 5, 13, 15, 18, 22, 23, 30].reduce((sum, bit) => sum + 2 ** bit, 0));
    expect(body.readUInt32LE(20)).toBe(1 << 20);
    expect(body.readUInt32LE(24)).toBe(1);
    expect(body.readUInt16LE(28)).toBe(256);
    // DIRECT_IO_ALLOW_MMAP, of what the upper half offers.
    expect(body.readUInt32LE(32)).toBe(2 ** 4);
    for (const rest of [body.subarray(30, 32), body.subarray(36)]) expect(rest.every((byte) => byte === 0)).toBe(true);
  });

  test('takes nothing of the upper half of flags where the kernel offers none', () => {
    const short = Buffer.concat([initBody(7, 36, 0xffffffff).subarray(0, 16), Buffer.alloc(48)]);
    expect(ask({ opcode: Opcode.FUSE_INIT, node: 0, body: short }).body.readUInt32LE(32)).toBe(0);
    const old = ask({ opcode: Opcode.FUSE_INIT, node: 0, body: initBody(7, 35, 0xffffffff & ~(1 << 30)) });
    expect(old.body.readUInt32LE(32)).toBe(0);
  });

  test('takes only flags the kernel offers, and the smaller minor version', () => {
    const { body } = ask({ opcode: Opcode.FUSE_INIT, node: 0, body: initBody(7, 31, 1) });
    expect(body.readUInt32LE(4)).toBe(31);
    expect(body.readUInt32LE(12)).toBe(1);
  });

  test('works with the short message of protocol 7.31 to 7.35', () => {
    expect(ask({ opcode: Opcode.FUSE_INIT, node: 0, body: u32s(7, 31, 0, 0) }).error).toBe(0);
  });

  test('answers a later major version with 7, and waits to be asked again', () => {
    const { error, body } = ask({ opcode: Opcode.FUSE_INIT, node: 0, body: initBody(8, 2, 0xffffffff) });
    expect(error).toBe(0);
    expect([body.readUInt32LE(0), body.readUInt32LE(4), body.readUInt32LE(12)]).toEqual([7, 45, 0]);
  });

  describe('over io_uring', () => {
    const INIT_EXT = 2 ** 30;
    const OVER_IO_URING = 1 << 9;
    const initBody2 = (flags: number, flags2: number) =>
      Buffer.concat([u32s(7, 45, 131_072, flags, flags2), Buffer.alloc(44)]);

    test.each([
      ['is agreed on when both sides want it', true, INIT_EXT, OVER_IO_URING, true],
      ['is not requested unless it is wanted', false, INIT_EXT, OVER_IO_URING, false],
      ['is not requested where the kernel does not offer it', true, INIT_EXT, 0xffff_ffff & ~OVER_IO_URING, false],
      ['is not requested of a kernel without the second flags', true, 0, OVER_IO_URING, false],
    ])('%s', (_, wantsRing, flags, flags2, agreed) => {
      const outcomes: boolean[] = [];
      const served = new Connection(tree, { wantsRing, onInit: (overRing) => outcomes.push(overRing) });
      const { body } = ask({ opcode: Opcode.FUSE_INIT, node: 0, body: initBody2(flags, flags2 >>> 0) }, served);
      expect(outcomes).toEqual([agreed]);
      expect((body.readUInt32LE(32) & OVER_IO_URING) !== 0).toBe(agreed);
      if (agreed) expect(body.readUInt32LE(12) & INIT_EXT).not.toBe(0);
    });
  });

  test.each([
    [6, 99],
    [7, 30],
  ])('refuses version %i.%i and says why', (major, minor) => {
    expect(errorOf({ opcode: Opcode.FUSE_INIT, node: 0, body: initBody(major, minor, 0) })).toBe(-errno.EIO);
    expect(faults).toEqual([[expect.objectContaining({ code: 'missing-feature' }), 'INIT', 0]]);
  });
});

test.each([
  [7, 45, 1],
  [8, 2, 0],
  [7, 30, 0],
])('after INIT of version %i.%i the daemon was told %i times that both sides agree', (major, minor, times) => {
  let calls = 0;
  const body = Buffer.concat([u32s(major, minor, 131_072, 0), Buffer.alloc(48)]);
  ask({ opcode: Opcode.FUSE_INIT, node: 0, body }, new Connection(tree, { onInit: () => calls++ }));
  expect(calls).toBe(times);
});

describe('names and attributes', () => {
  test('LOOKUP gives the node and its attributes for a year', () => {
    const { error, body } = ask({ opcode: Opcode.FUSE_LOOKUP, node: directory, body: nameBody('file') });
    expect(error).toBe(0);
    expect(body.length).toBe(128);
    expect([0, 8, 16, 24, 32].map((at) => body.readBigUInt64LE(at))).toEqual([BigInt(file), 0n, year, year, 0n]);
    const attributes = body.subarray(40);
    expect([0, 8, 16].map((at) => attributes.readBigUInt64LE(at))).toEqual([BigInt(file), 20_000n, 40n]);
    expect([24, 32, 40].map((at) => attributes.readBigInt64LE(at))).toEqual([-5n, -5n, -5n]);
    expect([48, 52, 56].map((at) => attributes.readUInt32LE(at))).toEqual([999_999_999, 999_999_999, 999_999_999]);
    expect([60, 64, 68, 72, 76, 80, 84].map((at) => attributes.readUInt32LE(at))).toEqual([
      0o100644, 1, 1000, 100, 0, 4096, 0,
    ]);
  });

  test('LOOKUP lets the kernel remember that a name does not exist', () => {
    const { error, body } = ask({ opcode: Opcode.FUSE_LOOKUP, body: nameBody('missing') });
    expect(error).toBe(0);
    expect([body.readBigUInt64LE(0), body.readBigUInt64LE(16)]).toEqual([0n, year]);
  });

  test('LOOKUP answers "." of any node and ".." of a directory, as EXPORT_SUPPORT promises', () => {
    const nodeOf = (node: number, name: string) =>
      ask({ opcode: Opcode.FUSE_LOOKUP, node, body: nameBody(name) }).body.readBigUInt64LE(0);
    expect(nodeOf(file, '.')).toBe(BigInt(file));
    expect(nodeOf(directory, '.')).toBe(BigInt(directory));
    expect(nodeOf(directory, '..')).toBe(1n);
    expect(nodeOf(999, '.')).toBe(0n);
    expect(errorOf({ opcode: Opcode.FUSE_LOOKUP, node: file, body: nameBody('..') })).toBe(-errno.ENOTDIR);
    tree.addFile(1, '.x', content);
    expect(nodeOf(1, '.x')).not.toBe(0n);
  });

  test('LOOKUP takes any byte but NUL and slash, up to 255 of them', () => {
    const odd = Buffer.from([0xff, 0xfe, 0x0a, 0x80]);
    tree.addFile(1, odd.toString('latin1'), content);
    expect(ask({ opcode: Opcode.FUSE_LOOKUP, body: nameBody(odd) }).body.readBigUInt64LE(0)).not.toBe(0n);
    tree.addFile(1, 'x'.repeat(255), content);
    expect(ask({ opcode: Opcode.FUSE_LOOKUP, body: nameBody('x'.repeat(255)) }).body.readBigUInt64LE(0)).not.toBe(0n);
    expect(errorOf({ opcode: Opcode.FUSE_LOOKUP, body: nameBody('x'.repeat(256)) })).toBe(-errno.ENAMETOOLONG);
  });

  test.each([
    ['an empty name', Buffer.of(0)],
    ['no name', Buffer.of()],
    ['a name without its NUL', Buffer.from('file')],
    ['a NUL inside', Buffer.from('fi\0le\0')],
    ['a slash inside', Buffer.from('a/b\0')],
  ])('LOOKUP refuses %s', (_, body) => {
    expect(errorOf({ opcode: Opcode.FUSE_LOOKUP, node: directory, body })).toBe(-errno.EINVAL);
  });

  test('GETATTR gives attributes for a year, ENOENT for a number that is no node', () => {
    const { error, body } = ask({ opcode: Opcode.FUSE_GETATTR, node: file, body: Buffer.alloc(16) });
    expect([error, body.length, body.readBigUInt64LE(0), body.readBigUInt64LE(24)]).toEqual([0, 104, year, 20_000n]);
    expect(errorOf({ opcode: Opcode.FUSE_GETATTR, node: 999, body: Buffer.alloc(16) })).toBe(-errno.ENOENT);
  });

  test('refuses a node number above 2^53 instead of rounding it', () => {
    expect(errorOf({ opcode: Opcode.FUSE_GETATTR, node: 2n ** 53n, body: Buffer.alloc(16) })).toBe(-errno.EOVERFLOW);
    expect(errorOf({ opcode: Opcode.FUSE_GETATTR, node: 2n ** 64n - 1n, body: Buffer.alloc(16) })).toBe(
      -errno.EOVERFLOW,
    );
    expect(errorOf({ opcode: Opcode.FUSE_GETATTR, node: 2n ** 53n - 1n, body: Buffer.alloc(16) })).toBe(-errno.ENOENT);
  });

  test('READLINK gives the target without a NUL', () => {
    expect(ask({ opcode: Opcode.FUSE_READLINK, node: link }).body.toString()).toBe('dir/file');
    expect(errorOf({ opcode: Opcode.FUSE_READLINK, node: file })).toBe(-errno.EINVAL);
    const long = tree.addLink(1, 'long', Buffer.alloc(4096, 0x61));
    expect(errorOf({ opcode: Opcode.FUSE_READLINK, node: long })).toBe(-errno.ENAMETOOLONG);
  });

  test('ACCESS refuses writing', () => {
    expect(errorOf({ opcode: Opcode.FUSE_ACCESS, node: file, body: u32s(4, 0) })).toBe(0);
    expect(errorOf({ opcode: Opcode.FUSE_ACCESS, node: file, body: u32s(2, 0) })).toBe(-errno.EROFS);
    expect(errorOf({ opcode: Opcode.FUSE_ACCESS, node: 999, body: u32s(4, 0) })).toBe(-errno.ENOENT);
  });

  test('STATFS', () => {
    const { body } = ask({ opcode: Opcode.FUSE_STATFS });
    expect(body.length).toBe(80);
    expect([0, 8, 16, 24, 32].map((at) => body.readBigUInt64LE(at))).toEqual([1000n, 10n, 10n, 4n, 3n]);
    expect([40, 44, 48].map((at) => body.readUInt32LE(at))).toEqual([4096, 255, 4096]);
  });
});
