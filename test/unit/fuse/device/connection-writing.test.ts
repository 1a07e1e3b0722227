// Writes and changes of attributes: encoded requests, and the calls that they cause.
import { constants } from 'node:os';
import { beforeEach, describe, expect, test } from 'vitest';
import { Errno } from '../../../../src/base/errno.ts';
import { Region } from '../../../../src/base/linux/native.ts';
import { Connection } from '../../../../src/fuse/device/connection.ts';
import { Opcode } from '../../../../src/fuse/protocol/abi.ts';
import {
  encodeRequest,
  fallocateBody,
  nameBody,
  type RequestFields,
  readBody,
  type SetattrFields,
  setattrBody,
  setxattrBody,
  u32s,
  u64s,
  writeBody,
} from '../../../support/fuse/request-encoder.ts';
import { year } from './served-tree.ts';
import {
  addDirectory,
  addFile,
  ask,
  connection,
  errorOf,
  faults,
  serveAnew,
  takeCalls,
  tree,
} from './served-writable.ts';

const { errno } = constants;

beforeEach(serveAnew);

const contentOf = (node: number) => tree.nodes.get(node)?.content?.read(0, 1 << 21);

describe('WRITE', () => {
  const write = (node: number, body: Buffer) => ask({ opcode: Opcode.FUSE_WRITE, node, body });

  test('writes all and says so, up to a mebibyte', () => {
    const file = addFile('a');
    const data = Buffer.from(Array.from({ length: 1 << 20 }, (_, at) => at % 251));
    expect(write(file, writeBody(5, data)).body).toEqual(u32s(1 << 20, 0));
    expect(contentOf(file)?.equals(Buffer.concat([Buffer.alloc(5), data]))).toBe(true);
    expect(write(file, writeBody(0, Buffer.alloc((1 << 20) + 1))).error).toBe(-errno.EINVAL);
    const small = new Connection(tree, { maxTransfer: 4096 });
    const request = encodeRequest({ opcode: Opcode.FUSE_WRITE, node: file, body: writeBody(0, Buffer.alloc(4097)) });
    small.handle(new Region(request), request.length);
    expect(small.reply.view.getInt32(4, true)).toBe(-errno.EINVAL);
  });

  test('hands over the place of the data in the request, without a copy', () => {
    const file = addFile('a');
    const memory = new Region(
      encodeRequest({ opcode: Opcode.FUSE_WRITE, node: file, body: writeBody(7, Buffer.from('data'), 4) }),
    );
    takeCalls();
    expect(connection.handle(memory, memory.length)).toBe(24);
    const [[method, node, offset, length, from, fromOffset, killPrivileges] = []] = takeCalls();
    expect([method, node, offset, length, fromOffset, killPrivileges]).toEqual(['write', file, 7, 4, 80, true]);
    expect(from).toBe(memory);
  });

  test.each([
    [0, false],
    // FUSE_WRITE_CACHE, FUSE_WRITE_LOCKOWNER, FUSE_WRITE_KILL_SUIDGID
    [1, false],
    [2, false],
    [4, true],
    [7, true],
  ])('with flags %i takes privileges away: %s', (flags, killed) => {
    const file = addFile('a');
    takeCalls();
    write(file, writeBody(0, Buffer.from('x'), flags));
    expect(takeCalls()[0]?.at(-1)).toBe(killed);
  });

  test('is settled when it was answered; a fault then is reported, and ends nothing', () => {
    const file = addFile('a');
    write(file, writeBody(0, Buffer.from('data')));
    const fault = new TypeError('a fault');
    tree.settle = () => {
      throw fault;
    };
    connection.settle();
    expect(faults).toEqual([[fault, 'WRITE', file]]);
  });

  test('refuses a size that is not that of the data', () => {
    const file = addFile('a', Buffer.from('as it was'));
    for (const size of [0, 3, 5, 100, 0xffffffff]) {
      expect(write(file, writeBody(0, Buffer.from('data'), 0, size)).error).toBe(-errno.EINVAL);
    }
    const whole = writeBody(0, Buffer.from('data'));
    for (let length = 0; length < whole.length; length++)
      expect(write(file, whole.subarray(0, length)).error).toBe(-errno.EINVAL);
    expect(contentOf(file)).toEqual(Buffer.from('as it was'));
  });

  test('of nothing changes nothing, not even the size', () => {
    const file = addFile('a');
    takeCalls();
    expect(write(file, writeBody(1000, Buffer.of())).body).toEqual(u32s(0, 0));
    expect(takeCalls()).toEqual([]);
  });

  test('does not go beyond what numbers hold: EFBIG', () => {
    const file = addFile('a');
    takeCalls();
    for (const offset of [2n ** 53n - 4n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n]) {
      expect(write(file, writeBody(offset, Buffer.from('12345'))).error).toBe(-errno.EFBIG);
    }
    expect(write(file, writeBody(2n ** 53n - 1n, Buffer.from('1'))).error).toBe(-errno.EFBIG);
    expect(takeCalls()).toEqual([]);
  });

  test('nothing of an earlier reply is left in the one to a change', () => {
    const file = addFile('a', Buffer.alloc(4096, 0xff));
    const askAfterRead = (fields: RequestFields) => {
      ask({ opcode: Opcode.FUSE_READ, node: file, body: readBody(0, 4096) });
      return ask(fields).body;
    };
    const written = askAfterRead({
      opcode: Opcode.FUSE_WRITE,
      node: file,
      body: writeBody(0, Buffer.alloc(4096, 0xff)),
    });
    expect(written).toEqual(u32s(4096, 0));
    const create = Buffer.concat([u32s(0, 0o100644, 0, 0), nameBody('b')]);
    const created = askAfterRead({ opcode: Opcode.FUSE_CREATE, body: create });
    expect(created.subarray(128)).toEqual(Buffer.concat([u64s(0), u32s(2, 0)]));
    const changed = askAfterRead({
      opcode: Opcode.FUSE_SETATTR,
      node: file,
      body: setattrBody({ valid: 32, mtime: 5n }),
    });
    expect(changed.includes(0xff)).toBe(false);
  });

  test('passes errors of the file system on', () => {
    const file = addFile('a');
    expect(write(addDirectory('d'), writeBody(0, Buffer.from('x'))).error).toBe(-errno.EISDIR);
    expect(write(99, writeBody(0, Buffer.from('x'))).error).toBe(-errno.ENOENT);
    tree.write = () => {
      throw Errno.of('ENOSPC');
    };
    expect(write(file, writeBody(0, Buffer.from('x'))).error).toBe(-errno.ENOSPC);
    expect(faults).toEqual([]);
  });
});

describe('FALLOCATE', () => {
  const fallocate = (offset: number | bigint, length: number | bigint, mode: number, uid = 0) =>
    errorOf({ opcode: Opcode.FUSE_FALLOCATE, node: 2, uid, body: fallocateBody(offset, length, mode) });

  beforeEach(() => {
    addFile('a');
    takeCalls();
  });

  test.each([
    [0, 'extend'],
    [1, 'keep-size'],
    [3, 'punch-hole'],
    [16, 'zero'],
    [17, 'zero-keep-size'],
  ])('mode %i is %s', (mode, how) => {
    expect(fallocate(10, 20, mode)).toBe(0);
    expect(fallocate(10, 20, mode, 1000)).toBe(0);
    expect(takeCalls()).toEqual([
      ['allocate', 2, 10, 20, how, false],
      ['allocate', 2, 10, 20, how, true],
    ]);
  });

  test('other modes are EOPNOTSUPP', () => {
    for (const mode of [2, 4, 8, 9, 18, 19, 32, 33, 64, 0x80000000])
      expect(fallocate(0, 4096, mode)).toBe(-errno.EOPNOTSUPP);
    expect(takeCalls()).toEqual([]);
  });

  test('no length is EINVAL, an end beyond what numbers hold EFBIG', () => {
    expect(fallocate(0, 0, 0)).toBe(-errno.EINVAL);
    for (const [offset, length] of [
      [2n ** 53n - 1n, 1n],
      [1n, 2n ** 53n - 1n],
      [2n ** 63n, 1n],
      [0n, 2n ** 63n],
    ] as const) {
      expect(fallocate(offset, length, 0)).toBe(-errno.EFBIG);
    }
    expect(takeCalls()).toEqual([]);
  });
});

describe('SETATTR', () => {
  const setattr = (fields: SetattrFields) => ask({ opcode: Opcode.FUSE_SETATTR, node: 2, body: setattrBody(fields) });
  const times = { atime: 2n ** 40n, atimensec: 1, mtime: -7n, mtimensec: 999_999_999 };
  const everything = { size: 9, ...times, mode: 0o104755, uid: 12, gid: 34 };

  beforeEach(() => {
    addFile('a', Buffer.from('content'));
    takeCalls();
  });

  test.each([
    [0, {}],
    [1 << 0, { mode: 0o4755 }],
    [1 << 1, { uid: 12 }],
    [1 << 2, { gid: 34 }],
    [1 << 3, { size: 9 }],
    [1 << 4, { atime: { seconds: 2 ** 40, nanoseconds: 1 } }],
    [(1 << 4) | (1 << 7), { atime: 'now' }],
    [1 << 5, { mtime: { seconds: -7, nanoseconds: 999_999_999 } }],
    [(1 << 5) | (1 << 8), { mtime: 'now' }],
    [1 << 11, { killPrivileges: true }],
    // a handle, a lock owner, ctime; now, of times that are not set
    [(1 << 6) | (1 << 9) | (1 << 10), {}],
    [(1 << 7) | (1 << 8), {}],
    [
      0xfff & ~(1 << 8),
      {
        atime: 'now',
        mode: 0o4755,
        uid: 12,
        gid: 34,
        size: 9,
        mtime: { seconds: -7, nanoseconds: 999_999_999 },
        killPrivileges: true,
      },
    ],
  ])('valid %i changes %o', (valid, changes) => {
    expect(setattr({ valid, ...everything }).error).toBe(0);
    expect(takeCalls()).toEqual([['setattr', 2, changes]]);
  });

  test('tells the attributes as they are then, for a year', () => {
    const { body } = setattr({ valid: 0b11_1111, ...everything });
    const attributes = body.subarray(16);
    expect([body.length, body.readBigUInt64LE(0), body.readUInt32LE(8)]).toEqual([104, year, 0]);
    expect([0, 8].map((at) => attributes.readBigUInt64LE(at))).toEqual([2n, 9n]);
    expect([attributes.readBigInt64LE(24), attributes.readUInt32LE(48)]).toEqual([2n ** 40n, 1]);
    expect(attributes.readBigInt64LE(40)).toBeGreaterThan(1_700_000_000n);
    expect([attributes.readBigInt64LE(32), attributes.readUInt32LE(52)]).toEqual([-7n, 999_999_999]);
    expect([60, 68, 72].map((at) => attributes.readUInt32LE(at))).toEqual([0o104755, 12, 34]);
  });

  test('reads times exactly or not at all', () => {
    const mtimeOf = (mtime: bigint) => {
      const { error } = setattr({ valid: 1 << 5, mtime });
      return error === 0 ? tree.nodes.get(2)?.mtime.seconds : error;
    };
    for (const mtime of [0n, -1n, 2n ** 32n, -(2n ** 32n), 2n ** 53n - 1n, 1n - 2n ** 53n]) {
      expect(mtimeOf(mtime)).toBe(Number(mtime));
    }
    for (const mtime of [2n ** 53n, -(2n ** 53n), 2n ** 63n - 1n, -(2n ** 63n)])
      expect(mtimeOf(mtime)).toBe(-errno.EOVERFLOW);
    for (const atime of [-1n, 2n ** 53n - 1n]) expect(setattr({ valid: 1 << 4, atime }).error).toBe(0);
    for (const atime of [2n ** 53n, -(2n ** 63n)])
      expect(setattr({ valid: 1 << 4, atime }).error).toBe(-errno.EOVERFLOW);
    expect(setattr({ valid: 1 << 4, atimensec: 1e9 }).error).toBe(-errno.EINVAL);
    expect(setattr({ valid: 1 << 5, mtimensec: 1e9 }).error).toBe(-errno.EINVAL);
  });

  test('a size beyond what numbers hold is EFBIG, of a directory EISDIR', () => {
    for (const size of [2n ** 53n, 2n ** 63n, 2n ** 64n - 1n])
      expect(setattr({ valid: 8, size }).error).toBe(-errno.EFBIG);
    const body = setattrBody({ valid: 8, size: 5 });
    expect(errorOf({ opcode: Opcode.FUSE_SETATTR, node: 1, body })).toBe(-errno.EISDIR);
    for (let length = 0; length < 24; length++) {
      expect(errorOf({ opcode: Opcode.FUSE_SETATTR, node: 2, body: body.subarray(0, length) })).toBe(-errno.EINVAL);
    }
  });
});

describe('extended attributes', () => {
  const set = (name: string, value: string, flags = 0, size?: number) =>
    errorOf({ opcode: Opcode.FUSE_SETXATTR, node: 2, body: setxattrBody(name, Buffer.from(value), flags, size) });

  beforeEach(() => {
    addFile('a');
    takeCalls();
  });

  test('SETXATTR', () => {
    expect([set('user.a', 'one'), set('user.a/b', ''), set('user.a', 'two', 2), set('user.c', 'x', 1)]).toEqual([
      0, 0, 0, 0,
    ]);
    expect(takeCalls()).toEqual([
      ['setxattr', 2, 'user.a', 'one', 'any'],
      ['setxattr', 2, 'user.a/b', '', 'any'],
      ['setxattr', 2, 'user.a', 'two', 'replace'],
      ['setxattr', 2, 'user.c', 'x', 'create'],
    ]);
    expect(set('user.a', 'x', 1)).toBe(-errno.EEXIST);
    expect(set('user.none', 'x', 2)).toBe(-errno.ENODATA);
    expect(set('security.capability', 'x')).toBe(-errno.EOPNOTSUPP);
    expect([set('user.a', 'x', 3), set('user.a', 'x', 4), set('', 'x')]).toEqual([
      -errno.EINVAL,
      -errno.EINVAL,
      -errno.EINVAL,
    ]);
    expect(set(`user.${'x'.repeat(251)}`, 'x')).toBe(-errno.ENAMETOOLONG);
    for (const size of [0, 2, 100, 0xffffffff]) expect(set('user.a', 'x', 0, size)).toBe(-errno.EINVAL);
    const whole = setxattrBody('user.a', Buffer.from('value'));
    for (let length = 0; length < whole.length; length++) {
      expect(errorOf({ opcode: Opcode.FUSE_SETXATTR, node: 2, body: whole.subarray(0, length) })).toBe(-errno.EINVAL);
    }
    const got = ask({
      opcode: Opcode.FUSE_GETXATTR,
      node: 2,
      body: Buffer.concat([u32s(100, 0), nameBody('user.a/b')]),
    });
    expect([got.error, got.body.length]).toEqual([0, 0]);
  });

  test('REMOVEXATTR', () => {
    set('user.a/b', 'one');
    const remove = (name: string) => errorOf({ opcode: Opcode.FUSE_REMOVEXATTR, node: 2, body: nameBody(name) });
    takeCalls();
    expect([remove('user.a/b'), remove('user.a/b'), remove('')]).toEqual([0, -errno.ENODATA, -errno.EINVAL]);
    expect(takeCalls()).toEqual([
      ['removexattr', 2, 'user.a/b'],
      ['removexattr', 2, 'user.a/b'],
    ]);
  });
});
