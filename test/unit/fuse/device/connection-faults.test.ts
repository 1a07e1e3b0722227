// Errors, malformed requests and leftovers: feeds a connection bytes and checks every reply.
import { constants } from 'node:os';
import { beforeEach, describe, expect, test } from 'vitest';
import { Errno } from '../../../../src/base/errno.ts';
import { Region } from '../../../../src/base/linux/native.ts';
import { Connection } from '../../../../src/fuse/device/connection.ts';
import { Opcode } from '../../../../src/fuse/protocol/abi.ts';
import { Counter } from '../../../../src/fuse/protocol/counters.ts';
import {
  encodeRequest,
  exchange,
  nameBody,
  type RequestFields,
  readBody,
  u32s,
  u64s,
} from '../../../support/fuse/request-encoder.ts';
import { ask, connection, counters, errorOf, faults, file, serveAnew, tree } from './served-tree.ts';

const { errno } = constants;

beforeEach(serveAnew);

describe('faults', () => {
  test('what is no Errno becomes EIO, is reported once, and the next request is served', () => {
    const bug = new TypeError('a bug');
    tree.getattr = () => {
      throw bug;
    };
    expect(errorOf({ opcode: Opcode.FUSE_GETATTR, node: file, body: Buffer.alloc(16) })).toBe(-errno.EIO);
    expect(faults).toEqual([[bug, 'GETATTR', file]]);
    expect(counters[Counter.faults]).toBe(1);
    expect(errorOf({ opcode: Opcode.FUSE_STATFS })).toBe(0);
  });

  test('an Errno is passed on and is no fault', () => {
    tree.read = () => {
      throw Errno.of('EIO');
    };
    expect(errorOf({ opcode: Opcode.FUSE_READ, node: file, body: readBody(0, 10) })).toBe(-errno.EIO);
    expect(faults).toEqual([]);
  });

  test('survives a listener that throws', () => {
    const deaf = new Connection(tree, {
      onError: () => {
        throw new Error('deaf');
      },
    });
    tree.statfs = () => {
      throw new Error('broken');
    };
    expect(ask({ opcode: Opcode.FUSE_STATFS }, deaf).error).toBe(-errno.EIO);
  });

  test('nothing of one reply is left in the next', () => {
    ask({ opcode: Opcode.FUSE_READ, node: file, body: readBody(0, 20_000) });
    for (const fields of [
      { opcode: Opcode.FUSE_STATFS },
      { opcode: Opcode.FUSE_LOOKUP, body: nameBody('dir') },
      { opcode: Opcode.FUSE_LOOKUP, body: nameBody('none') },
      { opcode: Opcode.FUSE_GETATTR, body: Buffer.alloc(16) },
      { opcode: Opcode.FUSE_READDIRPLUS, body: readBody(0, 4096) },
      { opcode: Opcode.FUSE_INIT, body: u32s(7, 40, 0, 0) },
    ]) {
      const after = ask(fields).body;
      expect(after).toEqual(ask(fields, new Connection(tree)).body);
    }
  });

  test('wipe() leaves no byte of the last reply', () => {
    ask({ opcode: Opcode.FUSE_READ, node: file, body: readBody(0, 20_000) });
    connection.wipe();
    expect(connection.reply.bytes.every((byte) => byte === 0)).toBe(true);
  });
});

describe('malformed requests', () => {
  test('is silent when not even the header is there', () => {
    const bytes = encodeRequest({ opcode: Opcode.FUSE_STATFS });
    for (let length = 0; length < 40; length++) {
      expect(exchange(connection, bytes.subarray(0, length))).toBeUndefined();
    }
    expect(connection.handle(new Region(8), 4000)).toBe(0);
  });

  const complete: readonly (RequestFields & { readonly needed: number })[] = [
    { opcode: Opcode.FUSE_LOOKUP, body: nameBody('dir'), needed: 4 },
    { opcode: Opcode.FUSE_READ, node: 3, body: readBody(0, 10), needed: 20 },
    { opcode: Opcode.FUSE_READDIR, node: 2, body: readBody(0, 4096), needed: 20 },
    { opcode: Opcode.FUSE_READDIRPLUS, node: 2, body: readBody(0, 4096), needed: 20 },
    { opcode: Opcode.FUSE_LSEEK, node: 3, body: Buffer.concat([u64s(0, 0), u32s(3, 0)]), needed: 20 },
    { opcode: Opcode.FUSE_GETXATTR, node: 3, body: Buffer.concat([u32s(9, 0), nameBody('user.n')]), needed: 15 },
    { opcode: Opcode.FUSE_LISTXATTR, node: 3, body: u32s(99, 0), needed: 4 },
    { opcode: Opcode.FUSE_ACCESS, node: 3, body: u32s(4, 0), needed: 4 },
    { opcode: Opcode.FUSE_OPEN, node: 3, body: u32s(0, 0), needed: 4 },
    { opcode: Opcode.FUSE_INIT, body: Buffer.concat([u32s(7, 45, 0, 0), Buffer.alloc(48)]), needed: 16 },
  ];

  test.each(complete)(
    'opcode $opcode cut at every length is EINVAL, and no byte after the end is read',
    ({ needed, ...fields }) => {
      const whole = encodeRequest(fields);
      for (let length = 40; length < whole.length; length++) {
        // The bytes after the cut stay in memory, where reading on would find them.
        const lying = new Region(Buffer.from(whole));
        expect(connection.handle(lying, length)).toBe(16);
        expect(connection.reply.view.getInt32(4, true)).toBe(-errno.EINVAL);

        const honest = new Region(Buffer.from(whole));
        honest.view.setUint32(0, length, true);
        connection.handle(honest, length);
        expect(connection.reply.view.getInt32(4, true) === -errno.EINVAL).toBe(length - 40 < needed);
      }
      const trailing = new Region(Buffer.concat([whole, Buffer.alloc(1)]));
      expect(connection.handle(trailing, whole.length + 1)).toBe(16);
    },
  );

  test('extensions are no part of the body', () => {
    const body = Buffer.concat([nameBody('dir'), Buffer.from('trailing')]);
    expect(errorOf({ opcode: Opcode.FUSE_LOOKUP, body, extensionLength: 1 })).toBe(0);
    expect(errorOf({ opcode: Opcode.FUSE_LOOKUP, body, extensionLength: 0 })).toBe(-errno.EINVAL);
    expect(errorOf({ opcode: Opcode.FUSE_LOOKUP, body, extensionLength: 0xffff })).toBe(-errno.EINVAL);
  });
});
