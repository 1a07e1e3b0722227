// Reading files and links: feeds encoded requests to a connection on a tree in memory.
import { constants as fileConstants } from 'node:fs';
import { constants } from 'node:os';
import { beforeEach, describe, expect, test } from 'vitest';
import { Errno } from '../../../../src/base/errno.ts';
import { Region } from '../../../../src/base/linux/native.ts';
import { Connection } from '../../../../src/fuse/device/connection.ts';
import { Opcode } from '../../../../src/fuse/protocol/abi.ts';
import { Counter } from '../../../../src/fuse/protocol/counters.ts';
import { nameBody, readBody, u32s, u64s } from '../../../support/fuse/request-encoder.ts';
import {
  ask,
  connection,
  content,
  counters,
  directory,
  errorOf,
  faults,
  file,
  link,
  serveAnew,
  tree,
} from './served-tree.ts';

const { errno } = constants;

beforeEach(serveAnew);

describe('files', () => {
  test('OPEN and OPENDIR of what never changes are left to the kernel', () => {
    expect(errorOf({ opcode: Opcode.FUSE_OPEN, node: file, body: u32s(0, 0) })).toBe(-errno.ENOSYS);
    expect(errorOf({ opcode: Opcode.FUSE_OPEN, node: file, body: u32s(0o40000, 0) })).toBe(-errno.ENOSYS);
    expect(errorOf({ opcode: Opcode.FUSE_OPENDIR, node: directory, body: u32s(0, 0) })).toBe(-errno.ENOSYS);
  });

  describe('OPEN where the file system decides how files are read', () => {
    const open = (flags: number) => ask({ opcode: Opcode.FUSE_OPEN, node: file, body: u32s(flags, 0) });
    let asked: unknown[][];
    const decide = (isDirect: boolean) => {
      asked = [];
      tree.opensDirect = (...of) => {
        asked.push(of);
        return isDirect;
      };
    };

    // open_flags: KEEP_CACHE and NOFLUSH
    test('is a success, with DIRECT_IO where it says so, and the pages of others are kept', () => {
      decide(true);
      expect(open(0)).toMatchObject({ error: 0, body: Buffer.concat([u64s(0), u32s(35, 0)]) });
      decide(false);
      expect(open(0)).toMatchObject({ error: 0, body: Buffer.concat([u64s(0), u32s(34, 0)]) });
      // The request encoder puts this thread into each header.
      expect(asked).toEqual([[file, 4711]]);
    });

    test('has no DIRECT_IO with O_DIRECT, for which the kernel sends all requests of a read at once', () => {
      decide(true);
      expect(open(fileConstants.O_DIRECT).body).toEqual(Buffer.concat([u64s(0), u32s(34, 0)]));
      expect(asked).toEqual([]);
    });

    test('is EROFS for writing, and passes on what the file system throws', () => {
      decide(true);
      expect(errorOf({ opcode: Opcode.FUSE_OPEN, node: file, body: u32s(1, 0) })).toBe(-errno.EROFS);
      tree.opensDirect = () => {
        throw Errno.of('ENOENT');
      };
      expect(errorOf({ opcode: Opcode.FUSE_OPEN, node: file, body: u32s(0, 0) })).toBe(-errno.ENOENT);
    });
  });

  test.each([
    ['O_WRONLY', 1],
    ['O_RDWR', 2],
    ['O_RDONLY|O_TRUNC', 0o1000],
  ])('OPEN with %s is EROFS', (_, flags) => {
    expect(errorOf({ opcode: Opcode.FUSE_OPEN, node: file, body: u32s(flags, 0) })).toBe(-errno.EROFS);
  });

  test('READ gives exactly what was asked for, less at the end of the file', () => {
    const read = (offset: number, size: number) =>
      ask({ opcode: Opcode.FUSE_READ, node: file, body: readBody(offset, size) }).body;
    expect(read(0, 4096)).toEqual(content.subarray(0, 4096));
    expect(read(12_345, 5000)).toEqual(content.subarray(12_345, 17_345));
    expect(read(19_999, 4096)).toEqual(content.subarray(19_999));
    expect(read(20_000, 4096).length).toBe(0);
    expect(read(0, 1 << 20)).toEqual(content);
    expect(read(5, 0).length).toBe(0);
    expect(counters[Counter.bytesRead]).toBe(4096 + 5000 + 1 + 20_000);
  });

  test('READ puts the data on a page', () => {
    expect((connection.reply.address + 16) % 4096).toBe(0);
    expect(connection.reply.length).toBe(16 + (1 << 20));
  });

  test('replies go to the memory that was given for them, and to no other', () => {
    const memory = new Region(2 * 4096);
    const replyMemory = new Region(memory.bytes.subarray(64, 64 + 16 + 4096));
    const served = new Connection(tree, { replyMemory });
    expect(served.maxTransfer).toBe(4096);
    const { body } = ask({ opcode: Opcode.FUSE_READ, node: file, body: readBody(100, 4096) }, served);
    expect(body).toEqual(content.subarray(100, 4196));
    expect(memory.bytes.subarray(80, 80 + 4096)).toEqual(content.subarray(100, 4196));
    expect(errorOf({ opcode: Opcode.FUSE_READ, node: file, body: readBody(0, 4097) }, served)).toBe(-errno.EINVAL);
    served.wipe();
    expect(memory.bytes.every((byte) => byte === 0)).toBe(true);
  });

  test('READ refuses more than was agreed on, and offsets above 2^53', () => {
    expect(errorOf({ opcode: Opcode.FUSE_READ, node: file, body: readBody(0, (1 << 20) + 1) })).toBe(-errno.EINVAL);
    expect(errorOf({ opcode: Opcode.FUSE_READ, node: file, body: readBody(2n ** 53n, 1) })).toBe(-errno.EOVERFLOW);
    expect(errorOf({ opcode: Opcode.FUSE_READ, node: directory, body: readBody(0, 1) })).toBe(-errno.EISDIR);
  });

  test.each([-1, 11, 1.5, Number.NaN])('READ never passes on an impossible count (%d)', (count) => {
    tree.read = () => count;
    expect(errorOf({ opcode: Opcode.FUSE_READ, node: file, body: readBody(0, 10) })).toBe(-errno.EIO);
    expect(faults).toEqual([[expect.any(RangeError), 'READ', file]]);
  });

  test('LSEEK finds data and holes', () => {
    const seek = (offset: number | bigint, whence: number) =>
      ask({ opcode: Opcode.FUSE_LSEEK, node: file, body: Buffer.concat([u64s(0, offset), u32s(whence, 0)]) });
    expect(seek(100, 3).body.readBigUInt64LE(0)).toBe(100n);
    expect(seek(100, 4).body.readBigUInt64LE(0)).toBe(4096n);
    expect(seek(5000, 3).body.readBigUInt64LE(0)).toBe(8192n);
    expect(seek(20_000, 3).error).toBe(-errno.ENXIO);
    expect(seek(0, 0).error).toBe(-errno.EINVAL);
    for (const far of [2n ** 53n, 2n ** 63n, 2n ** 64n - 1n]) expect(seek(far, 3).error).toBe(-errno.ENXIO);
  });

  test('FLUSH and FSYNC are not needed where nothing changes; RELEASE and DESTROY are acknowledged', () => {
    for (const opcode of [Opcode.FUSE_FLUSH, Opcode.FUSE_FSYNC, Opcode.FUSE_FSYNCDIR]) {
      expect(errorOf({ opcode, node: file, body: Buffer.alloc(24) })).toBe(-errno.ENOSYS);
    }
    for (const opcode of [Opcode.FUSE_RELEASE, Opcode.FUSE_RELEASEDIR, Opcode.FUSE_DESTROY]) {
      expect(errorOf({ opcode, node: file, body: Buffer.alloc(24) })).toBe(0);
    }
  });
});

describe('extended attributes', () => {
  const getxattr = (name: string, size: number) =>
    ask({ opcode: Opcode.FUSE_GETXATTR, node: file, body: Buffer.concat([u32s(size, 0), nameBody(name)]) });
  const listxattr = (size: number) => ask({ opcode: Opcode.FUSE_LISTXATTR, node: file, body: u32s(size, 0) });

  test('GETXATTR: size first, then the value, ERANGE between', () => {
    expect(getxattr('user.colour', 0).body).toEqual(u32s(4, 0));
    expect(getxattr('user.colour', 4).body.toString()).toBe('blue');
    expect(getxattr('user.colour', 100).body.toString()).toBe('blue');
    expect(getxattr('user.colour', 3).error).toBe(-errno.ERANGE);
    expect(getxattr('user.n', 10).body.length).toBe(0);
    expect(getxattr('user.none', 10).error).toBe(-errno.ENODATA);
    expect(getxattr('user.with/slash', 10).error).toBe(-errno.ENODATA);
    expect(getxattr('x'.repeat(256), 10).error).toBe(-errno.ENAMETOOLONG);
  });

  test('LISTXATTR likewise', () => {
    expect(listxattr(0).body).toEqual(u32s(19, 0));
    expect(listxattr(19).body.toString()).toBe('user.colour\0user.n\0');
    expect(listxattr(18).error).toBe(-errno.ERANGE);
    expect(ask({ opcode: Opcode.FUSE_LISTXATTR, node: link, body: u32s(9, 0) }).body.length).toBe(0);
  });

  test('a value larger than any reply is ERANGE', () => {
    const small = new Connection(tree, { maxTransfer: 4096 });
    const fat = tree.addFile(1, 'fat', content, new Map([['user.fat', Buffer.alloc(5000)]]));
    const body = Buffer.concat([u32s(65_536, 0), nameBody('user.fat')]);
    expect(ask({ opcode: Opcode.FUSE_GETXATTR, node: fat, body }, small).error).toBe(-errno.ERANGE);
  });
});
