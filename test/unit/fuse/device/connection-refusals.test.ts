// Operations and users that a connection refuses, each by the errno of its reply.
import { constants } from 'node:os';
import { beforeEach, describe, expect, test } from 'vitest';
import { Connection } from '../../../../src/fuse/device/connection.ts';
import { Opcode } from '../../../../src/fuse/protocol/abi.ts';
import { Counter } from '../../../../src/fuse/protocol/counters.ts';
import { encodeRequest, exchange, nameBody, readBody, u32s } from '../../../support/fuse/request-encoder.ts';
import { ask, connection, counters, errorOf, file, serveAnew, tree } from './served-tree.ts';

const { errno } = constants;

beforeEach(serveAnew);

describe('what is not offered', () => {
  test.each([
    'SETATTR',
    'SYMLINK',
    'MKNOD',
    'MKDIR',
    'UNLINK',
    'RMDIR',
    'RENAME',
    'RENAME2',
    'LINK',
    'WRITE',
    'SETXATTR',
    'REMOVEXATTR',
    'CREATE',
    'FALLOCATE',
    'COPY_FILE_RANGE',
    'COPY_FILE_RANGE_64',
    'TMPFILE',
  ] as const)('%s is EROFS', (name) => {
    expect(errorOf({ opcode: Opcode[`FUSE_${name}`], node: file, body: Buffer.alloc(128) })).toBe(-errno.EROFS);
  });

  test.each([
    'STATX',
    'GETLK',
    'SETLK',
    'SETLKW',
    'BMAP',
    'IOCTL',
    'POLL',
    'SYNCFS',
    'SETUPMAPPING',
    'REMOVEMAPPING',
  ] as const)('%s is ENOSYS', (name) => {
    expect(errorOf({ opcode: Opcode[`FUSE_${name}`], node: file, body: Buffer.alloc(128) })).toBe(-errno.ENOSYS);
  });

  test.each([0, 7, 19, 54, 63, 64, 4096, 1_048_576, 436_207_616, 0xffffffff])(
    'opcode %i is unknown: ENOSYS',
    (opcode) => {
      expect(errorOf({ opcode, body: Buffer.alloc(64) })).toBe(-errno.ENOSYS);
      expect(counters[Counter.opcodes + (opcode < 64 ? opcode : 0)]).toBe(1);
    },
  );

  test.each(['FORGET', 'BATCH_FORGET', 'INTERRUPT', 'NOTIFY_REPLY'] as const)(
    '%s gets no reply, however malformed',
    (name) => {
      for (const length of [0, 3, 8, 64]) {
        const opcode = Opcode[`FUSE_${name}`];
        expect(exchange(connection, encodeRequest({ opcode, body: Buffer.alloc(length, 0xff) }))).toBeUndefined();
        expect(exchange(connection, encodeRequest({ opcode, claimedLength: 1, node: 2n ** 63n }))).toBeUndefined();
      }
    },
  );
});

describe('serving one user only', () => {
  let mine: Connection;
  beforeEach(() => {
    mine = new Connection(tree, { onlyUid: 1000 });
  });

  test.each([0, 1000])('uid %i is served, without caching of names and attributes', (uid) => {
    const { error, body } = ask({ opcode: Opcode.FUSE_LOOKUP, uid, body: nameBody('dir') }, mine);
    expect([error, body.readBigUInt64LE(16), body.readBigUInt64LE(24)]).toEqual([0, 0n, 0n]);
    expect(ask({ opcode: Opcode.FUSE_OPEN, uid, node: file, body: u32s(0, 0) }, mine).error).toBe(0);
  });

  test('others are refused everything but what goes through an open descriptor', () => {
    for (const opcode of [
      Opcode.FUSE_LOOKUP,
      Opcode.FUSE_GETATTR,
      Opcode.FUSE_OPEN,
      Opcode.FUSE_OPENDIR,
      Opcode.FUSE_STATFS,
    ]) {
      expect(ask({ opcode, uid: 1001, body: Buffer.alloc(16) }, mine).error).toBe(-errno.EACCES);
    }
    expect(ask({ opcode: Opcode.FUSE_READ, uid: 1001, node: file, body: readBody(0, 10) }, mine).body.length).toBe(10);
  });
});
