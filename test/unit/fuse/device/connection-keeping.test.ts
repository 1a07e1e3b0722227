// What a writable connection tells the kernel to cache and its file system to sync, by encoded requests.
import { constants } from 'node:os';
import { beforeEach, describe, expect, test } from 'vitest';
import { Errno } from '../../../../src/base/errno.ts';
import { Connection } from '../../../../src/fuse/device/connection.ts';
import { Opcode } from '../../../../src/fuse/protocol/abi.ts';
import {
  encodeRequest,
  exchange,
  nameBody,
  type RequestFields,
  readBody,
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

describe('INIT', () => {
  test('asks for the flags of a file system that never changes, and HANDLE_KILLPRIV_V2', () => {
    const body = Buffer.concat([u32s(7, 45, 131_072, 0xffffffff), Buffer.alloc(48)]);
    const reply = ask({ opcode: Opcode.FUSE_INIT, node: 0, body });
    expect(reply.body.readUInt32LE(12)).toBe(
      [0, 4, 5, 13, 15, 18, 22, 23, 28, 30].reduce((sum, bit) => sum + 2 ** bit, 0),
    );
  });
});

describe('opening and closing', () => {
  test.each([0, 1, 2, 0o1001, 0o2002, 0o40000])('OPEN with flags %i is left to the kernel', (flags) => {
    expect(errorOf({ opcode: Opcode.FUSE_OPEN, node: addFile('a'), body: u32s(flags, 0) })).toBe(-errno.ENOSYS);
    expect(errorOf({ opcode: Opcode.FUSE_OPENDIR, body: u32s(flags, 0) })).toBe(-errno.ENOSYS);
  });

  test('ACCESS lets write', () => {
    expect(errorOf({ opcode: Opcode.FUSE_ACCESS, node: addFile('a'), body: u32s(2, 0) })).toBe(0);
  });

  test('FLUSH keeps, FSYNC and FSYNCDIR sync; errors come back', () => {
    const file = addFile('a');
    for (const flags of [0, 1]) {
      expect(errorOf({ opcode: Opcode.FUSE_FSYNC, node: file, body: Buffer.concat([u64s(0), u32s(flags, 0)]) })).toBe(
        0,
      );
    }
    expect(errorOf({ opcode: Opcode.FUSE_FSYNCDIR, body: Buffer.alloc(16) })).toBe(0);
    expect(errorOf({ opcode: Opcode.FUSE_FLUSH, node: file, body: Buffer.alloc(24) })).toBe(0);
    expect(errorOf({ opcode: Opcode.FUSE_RELEASE, node: file, body: Buffer.alloc(24) })).toBe(0);
    expect(takeCalls()).toEqual([
      ['sync', file],
      ['sync', file],
      ['sync', 1],
      ['flush', file],
    ]);
    for (const opcode of [Opcode.FUSE_FLUSH, Opcode.FUSE_FSYNC, Opcode.FUSE_FSYNCDIR]) {
      expect(errorOf({ opcode, node: 99, body: Buffer.alloc(24) })).toBe(-errno.ENOENT);
    }
    tree.flush = () => {
      throw Errno.of('EIO');
    };
    expect(errorOf({ opcode: Opcode.FUSE_FLUSH, node: file, body: Buffer.alloc(24) })).toBe(-errno.EIO);
  });

  test('what is left to the kernel is ENOSYS', () => {
    for (const name of [
      'COPY_FILE_RANGE',
      'COPY_FILE_RANGE_64',
      'TMPFILE',
      'SYNCFS',
      'STATX',
      'GETLK',
      'SETLK',
      'SETLKW',
    ] as const) {
      expect(errorOf({ opcode: Opcode[`FUSE_${name}`], node: 1, body: Buffer.alloc(128) })).toBe(-errno.ENOSYS);
    }
  });
});

describe('what the kernel remembers', () => {
  const silently = (fields: RequestFields) => expect(exchange(connection, encodeRequest(fields))).toBeUndefined();
  const forget = (node: number | bigint, times: number | bigint) =>
    silently({ opcode: Opcode.FUSE_FORGET, node, body: u64s(times) });
  const batchForget = (count: number, ...pairs: readonly (number | bigint)[]) =>
    silently({ opcode: Opcode.FUSE_BATCH_FORGET, node: 0, body: Buffer.concat([u32s(count, 0), u64s(...pairs)]) });

  test('is counted at each LOOKUP that finds, "." included', () => {
    const file = addFile('a');
    expect(ask({ opcode: Opcode.FUSE_LOOKUP, body: nameBody('a') }).error).toBe(0);
    expect(ask({ opcode: Opcode.FUSE_LOOKUP, node: file, body: nameBody('.') }).error).toBe(0);
    const { error, body } = ask({ opcode: Opcode.FUSE_LOOKUP, body: nameBody('missing') });
    expect([error, body.readBigUInt64LE(0), body.readBigUInt64LE(16)]).toEqual([0, 0n, year]);
    expect(takeCalls()).toEqual([
      ['addLookup', file],
      ['addLookup', file],
    ]);
  });

  test('is counted for each entry of READDIRPLUS that is told but "." and ".."; not for READDIR, GETATTR, SETATTR', () => {
    const nodes = ['a', 'b', 'c'].map((name) => addFile(name));
    ask({ opcode: Opcode.FUSE_READDIR, body: readBody(0, 4096) });
    ask({ opcode: Opcode.FUSE_GETATTR, node: nodes[0] ?? 0, body: Buffer.alloc(16) });
    ask({ opcode: Opcode.FUSE_SETATTR, node: nodes[0] ?? 0, body: Buffer.alloc(88) });
    expect(takeCalls().filter(([method]) => method === 'addLookup')).toEqual([]);
    // Room for four entries of 160 bytes: the two dots and two files, the later ones first.
    ask({ opcode: Opcode.FUSE_READDIRPLUS, body: readBody(0, 4 * 160 + 159) });
    expect(takeCalls()).toEqual([
      ['addLookup', nodes[2]],
      ['addLookup', nodes[1]],
    ]);
  });

  test('keeps a node without names alive, until FORGET takes back all', () => {
    const file = addFile('a', Buffer.from('content'));
    for (let times = 0; times < 3; times++) ask({ opcode: Opcode.FUSE_LOOKUP, body: nameBody('a') });
    expect(errorOf({ opcode: Opcode.FUSE_UNLINK, body: nameBody('a') })).toBe(0);
    forget(file, 2);
    expect(ask({ opcode: Opcode.FUSE_READ, node: file, body: readBody(0, 100) }).body.toString()).toBe('content');
    expect(errorOf({ opcode: Opcode.FUSE_WRITE, node: file, body: writeBody(0, Buffer.from('x')) })).toBe(0);
    forget(file, 1);
    expect(errorOf({ opcode: Opcode.FUSE_READ, node: file, body: readBody(0, 100) })).toBe(-errno.ENOENT);
  });

  test('BATCH_FORGET takes back of many', () => {
    const [first = 0, second = 0] = [addFile('a'), addFile('b')];
    takeCalls();
    batchForget(3, first, 1, second, 2n ** 40n, 99, 5);
    expect(takeCalls()).toEqual([
      ['forget', first, 1],
      ['forget', second, 2 ** 40],
      ['forget', 99, 5],
    ]);
    batchForget(0);
    expect(takeCalls()).toEqual([]);
  });

  test('FORGET that is malformed is passed over', () => {
    const file = addFile('a');
    takeCalls();
    silently({ opcode: Opcode.FUSE_FORGET, node: file, body: Buffer.alloc(7) });
    silently({ opcode: Opcode.FUSE_FORGET, node: file, body: u64s(1), claimedLength: 47 });
    forget(2n ** 53n, 1);
    forget(file, 2n ** 53n);
    silently({ opcode: Opcode.FUSE_BATCH_FORGET, node: 0, body: u32s(1) });
    expect(takeCalls()).toEqual([]);
    batchForget(0xffffffff, file, 1);
    expect(takeCalls()).toEqual([['forget', file, 1]]);
    expect(faults).toEqual([]);
  });

  test('a fault while forgetting is reported, and the next request is served', () => {
    const bug = new TypeError('a bug');
    tree.forget = () => {
      throw bug;
    };
    forget(7, 1);
    expect(faults).toEqual([[bug, 'FORGET', 7]]);
    expect(errorOf({ opcode: Opcode.FUSE_STATFS })).toBe(0);
  });
});

describe('serving one user only', () => {
  let mine: Connection;
  const errorFor = (fields: RequestFields) => exchange(mine, encodeRequest(fields))?.error;

  beforeEach(() => {
    mine = new Connection(tree, { onlyUid: 1000 });
  });

  test('refuses others what goes by name, and serves what goes through a descriptor', () => {
    const file = addFile('a');
    addDirectory('d');
    const refused = [
      'SETATTR',
      'SYMLINK',
      'MKNOD',
      'MKDIR',
      'UNLINK',
      'RMDIR',
      'RENAME',
      'RENAME2',
      'LINK',
      'SETXATTR',
      'REMOVEXATTR',
      'CREATE',
      'TMPFILE',
    ] as const;
    for (const name of refused) {
      expect(errorFor({ opcode: Opcode[`FUSE_${name}`], uid: 1001, body: Buffer.alloc(128) })).toBe(-errno.EACCES);
    }
    const served = { uid: 1001, node: file };
    expect(errorFor({ ...served, opcode: Opcode.FUSE_WRITE, body: writeBody(0, Buffer.from('x')) })).toBe(0);
    expect(
      errorFor({ ...served, opcode: Opcode.FUSE_FALLOCATE, body: Buffer.concat([u64s(0, 0, 1), u32s(0, 0)]) }),
    ).toBe(0);
    expect(errorFor({ ...served, opcode: Opcode.FUSE_FLUSH, body: Buffer.alloc(24) })).toBe(0);
  });

  test('has files opened one by one, with their pages kept', () => {
    for (const [opcode, flags] of [
      [Opcode.FUSE_OPEN, 2],
      [Opcode.FUSE_OPENDIR, 2 | 8],
    ] as const) {
      const reply = exchange(mine, encodeRequest({ opcode, uid: 1000, body: u32s(2, 0) }));
      expect(reply?.body).toEqual(Buffer.concat([u64s(0), u32s(flags, 0)]));
    }
  });
});
