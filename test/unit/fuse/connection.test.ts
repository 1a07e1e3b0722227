import { beforeEach, describe, expect, it } from 'vitest';
import { Region } from '../../../src/base/native.ts';
import { Opcode } from '../../../src/fuse/abi.ts';
import { Connection } from '../../../src/fuse/connection.ts';
import { Counter, counterSlots } from '../../../src/fuse/counters.ts';
import { Errno } from '../../../src/fuse/filesystem.ts';
import { MemoryFileSystem } from './memory-file-system.ts';
import {
  type DecodedReply,
  encodeRequest,
  exchange,
  nameBody,
  type RequestFields,
  readBody,
  u32s,
  u64s,
} from './request-encoder.ts';

const year = 365n * 86400n;
const content = Buffer.from(Array.from({ length: 20_000 }, (_, index) => index % 251));

let tree: MemoryFileSystem;
let file: number;
let directory: number;
let link: number;
let faults: unknown[][];
let counters: Float64Array;
let connection: Connection;

beforeEach(() => {
  tree = new MemoryFileSystem();
  directory = tree.addDirectory(1, 'dir');
  file = tree.addFile(
    directory,
    'file',
    content,
    new Map([
      ['user.colour', Buffer.from('blue')],
      ['user.n', Buffer.of()],
    ]),
  );
  link = tree.addLink(1, 'link', Buffer.from('dir/file'));
  faults = [];
  counters = new Float64Array(new SharedArrayBuffer(counterSlots * 8));
  connection = new Connection(tree, { counters, onFault: (...fault) => faults.push(fault) });
});

function ask(fields: RequestFields, of: Connection = connection): DecodedReply {
  const reply = exchange(of, encodeRequest(fields));
  if (reply === undefined) throw new Error('no reply');
  return reply;
}

function errorOf(fields: RequestFields): number {
  const reply = ask(fields);
  expect(reply.error === 0 || reply.body.length === 0).toBe(true);
  return reply.error;
}

describe('INIT', () => {
  const initBody = (major: number, minor: number, flags: number) =>
    Buffer.concat([u32s(major, minor, 131_072, flags), Buffer.alloc(48)]);

  it('agrees with a kernel of today on version, sizes and flags', () => {
    const { error, body } = ask({ opcode: Opcode.FUSE_INIT, node: 0, body: initBody(7, 45, 0xffffffff) });
    expect(error).toBe(0);
    expect(body.length).toBe(64);
    expect([0, 4, 8].map((at) => body.readUInt32LE(at))).toEqual([7, 45, 1 << 20]);
    const flags = body.readUInt32LE(12);
    // ASYNC_READ, EXPORT_SUPPORT, BIG_WRITES, DO_READDIRPLUS, ASYNC_DIO, PARALLEL_DIROPS, MAX_PAGES, CACHE_SYMLINKS
    expect(flags).toBe([0, 4, 5, 13, 15, 18, 22, 23].reduce((sum, bit) => sum + 2 ** bit, 0));
    expect(body.readUInt32LE(20)).toBe(1 << 20);
    expect(body.readUInt32LE(24)).toBe(1);
    expect(body.readUInt16LE(28)).toBe(256);
    expect(body.subarray(30).every((byte) => byte === 0)).toBe(true);
  });

  it('takes only flags the kernel offers, and the smaller minor version', () => {
    const { body } = ask({ opcode: Opcode.FUSE_INIT, node: 0, body: initBody(7, 31, 1) });
    expect(body.readUInt32LE(4)).toBe(31);
    expect(body.readUInt32LE(12)).toBe(1);
  });

  it('works with the short message of protocol 7.31 to 7.35', () => {
    expect(ask({ opcode: Opcode.FUSE_INIT, node: 0, body: u32s(7, 31, 0, 0) }).error).toBe(0);
  });

  it('answers a later major version with 7, and waits to be asked again', () => {
    const { error, body } = ask({ opcode: Opcode.FUSE_INIT, node: 0, body: initBody(8, 2, 0xffffffff) });
    expect(error).toBe(0);
    expect([body.readUInt32LE(0), body.readUInt32LE(4), body.readUInt32LE(12)]).toEqual([7, 45, 0]);
  });

  it.each([
    [6, 99],
    [7, 30],
  ])('refuses version %i.%i and says why', (major, minor) => {
    expect(errorOf({ opcode: Opcode.FUSE_INIT, node: 0, body: initBody(major, minor, 0) })).toBe(-5);
    expect(faults).toEqual([[expect.objectContaining({ code: 'missing-feature' }), 'INIT', 0]]);
  });
});

describe('names and attributes', () => {
  it('LOOKUP gives the node and its attributes for a year', () => {
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

  it('LOOKUP lets the kernel remember that a name does not exist', () => {
    const { error, body } = ask({ opcode: Opcode.FUSE_LOOKUP, body: nameBody('missing') });
    expect(error).toBe(0);
    expect([body.readBigUInt64LE(0), body.readBigUInt64LE(16)]).toEqual([0n, year]);
  });

  it('LOOKUP in a file system that changes says ENOENT and allows a second', () => {
    const changing = new MemoryFileSystem({ immutable: false });
    changing.addFile(1, 'there', content);
    const other = new Connection(changing);
    expect(ask({ opcode: Opcode.FUSE_LOOKUP, body: nameBody('missing') }, other).error).toBe(-2);
    expect(ask({ opcode: Opcode.FUSE_LOOKUP, body: nameBody('there') }, other).body.readBigUInt64LE(16)).toBe(1n);
  });

  it('LOOKUP answers "." of any node and ".." of a directory, as EXPORT_SUPPORT promises', () => {
    const nodeOf = (node: number, name: string) =>
      ask({ opcode: Opcode.FUSE_LOOKUP, node, body: nameBody(name) }).body.readBigUInt64LE(0);
    expect(nodeOf(file, '.')).toBe(BigInt(file));
    expect(nodeOf(directory, '.')).toBe(BigInt(directory));
    expect(nodeOf(directory, '..')).toBe(1n);
    expect(nodeOf(999, '.')).toBe(0n);
    expect(errorOf({ opcode: Opcode.FUSE_LOOKUP, node: file, body: nameBody('..') })).toBe(-20);
    tree.addFile(1, '.x', content);
    expect(nodeOf(1, '.x')).not.toBe(0n);
  });

  it('LOOKUP takes any byte but NUL and slash, up to 255 of them', () => {
    const odd = Buffer.from([0xff, 0xfe, 0x0a, 0x80]);
    tree.addFile(1, odd.toString('latin1'), content);
    expect(ask({ opcode: Opcode.FUSE_LOOKUP, body: nameBody(odd) }).body.readBigUInt64LE(0)).not.toBe(0n);
    tree.addFile(1, 'x'.repeat(255), content);
    expect(ask({ opcode: Opcode.FUSE_LOOKUP, body: nameBody('x'.repeat(255)) }).body.readBigUInt64LE(0)).not.toBe(0n);
    expect(errorOf({ opcode: Opcode.FUSE_LOOKUP, body: nameBody('x'.repeat(256)) })).toBe(-36);
  });

  it.each([
    ['an empty name', Buffer.of(0)],
    ['no name', Buffer.of()],
    ['a name without its NUL', Buffer.from('file')],
    ['a NUL inside', Buffer.from('fi\0le\0')],
    ['a slash inside', Buffer.from('a/b\0')],
  ])('LOOKUP refuses %s', (_, body) => {
    expect(errorOf({ opcode: Opcode.FUSE_LOOKUP, node: directory, body })).toBe(-22);
  });

  it('GETATTR gives attributes for a year, ENOENT for a number that is no node', () => {
    const { error, body } = ask({ opcode: Opcode.FUSE_GETATTR, node: file, body: Buffer.alloc(16) });
    expect([error, body.length, body.readBigUInt64LE(0), body.readBigUInt64LE(24)]).toEqual([0, 104, year, 20_000n]);
    expect(errorOf({ opcode: Opcode.FUSE_GETATTR, node: 999, body: Buffer.alloc(16) })).toBe(-2);
  });

  it('refuses a node number above 2^53 instead of rounding it', () => {
    expect(errorOf({ opcode: Opcode.FUSE_GETATTR, node: 2n ** 53n, body: Buffer.alloc(16) })).toBe(-75);
    expect(errorOf({ opcode: Opcode.FUSE_GETATTR, node: 2n ** 64n - 1n, body: Buffer.alloc(16) })).toBe(-75);
    expect(errorOf({ opcode: Opcode.FUSE_GETATTR, node: 2n ** 53n - 1n, body: Buffer.alloc(16) })).toBe(-2);
  });

  it('READLINK gives the target without a NUL', () => {
    expect(ask({ opcode: Opcode.FUSE_READLINK, node: link }).body.toString()).toBe('dir/file');
    expect(errorOf({ opcode: Opcode.FUSE_READLINK, node: file })).toBe(-22);
    const long = tree.addLink(1, 'long', Buffer.alloc(4096, 0x61));
    expect(errorOf({ opcode: Opcode.FUSE_READLINK, node: long })).toBe(-36);
  });

  it('ACCESS refuses writing', () => {
    expect(errorOf({ opcode: Opcode.FUSE_ACCESS, node: file, body: u32s(4, 0) })).toBe(0);
    expect(errorOf({ opcode: Opcode.FUSE_ACCESS, node: file, body: u32s(2, 0) })).toBe(-30);
    expect(errorOf({ opcode: Opcode.FUSE_ACCESS, node: 999, body: u32s(4, 0) })).toBe(-2);
  });

  it('STATFS', () => {
    const { body } = ask({ opcode: Opcode.FUSE_STATFS });
    expect(body.length).toBe(80);
    expect([0, 8, 16, 24, 32].map((at) => body.readBigUInt64LE(at))).toEqual([1000n, 10n, 10n, 4n, 3n]);
    expect([40, 44, 48].map((at) => body.readUInt32LE(at))).toEqual([4096, 255, 4096]);
  });
});

describe('files', () => {
  it('OPEN and OPENDIR of what never changes are left to the kernel', () => {
    expect(errorOf({ opcode: Opcode.FUSE_OPEN, node: file, body: u32s(0, 0) })).toBe(-38);
    expect(errorOf({ opcode: Opcode.FUSE_OPEN, node: file, body: u32s(0o40000, 0) })).toBe(-38);
    expect(errorOf({ opcode: Opcode.FUSE_OPENDIR, node: directory, body: u32s(0, 0) })).toBe(-38);
  });

  it.each([
    ['O_WRONLY', 1],
    ['O_RDWR', 2],
    ['O_RDONLY|O_TRUNC', 0o1000],
  ])('OPEN with %s is EROFS', (_, flags) => {
    expect(errorOf({ opcode: Opcode.FUSE_OPEN, node: file, body: u32s(flags, 0) })).toBe(-30);
  });

  it('OPEN of what changes succeeds and keeps no cache', () => {
    const { error, body } = ask(
      { opcode: Opcode.FUSE_OPEN, body: u32s(0, 0) },
      new Connection(new MemoryFileSystem({ immutable: false })),
    );
    expect([error, body.length, body.readBigUInt64LE(0), body.readBigUInt64LE(8)]).toEqual([0, 16, 0n, 0n]);
  });

  it('READ gives exactly what was asked for, less at the end of the file', () => {
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

  it('READ puts the data on a page', () => {
    expect((connection.reply.address + 16) % 4096).toBe(0);
    expect(connection.reply.length).toBe(16 + (1 << 20));
  });

  it('READ refuses more than was agreed on, and offsets above 2^53', () => {
    expect(errorOf({ opcode: Opcode.FUSE_READ, node: file, body: readBody(0, (1 << 20) + 1) })).toBe(-22);
    expect(errorOf({ opcode: Opcode.FUSE_READ, node: file, body: readBody(2n ** 53n, 1) })).toBe(-75);
    expect(errorOf({ opcode: Opcode.FUSE_READ, node: directory, body: readBody(0, 1) })).toBe(-21);
  });

  it.each([-1, 11, 1.5, Number.NaN])('READ never passes on an impossible count (%d)', (count) => {
    tree.read = () => count;
    expect(errorOf({ opcode: Opcode.FUSE_READ, node: file, body: readBody(0, 10) })).toBe(-5);
    expect(faults).toEqual([[expect.any(RangeError), 'READ', file]]);
  });

  it('LSEEK finds data and holes', () => {
    const seek = (offset: number | bigint, whence: number) =>
      ask({ opcode: Opcode.FUSE_LSEEK, node: file, body: Buffer.concat([u64s(0, offset), u32s(whence, 0)]) });
    expect(seek(100, 3).body.readBigUInt64LE(0)).toBe(100n);
    expect(seek(100, 4).body.readBigUInt64LE(0)).toBe(4096n);
    expect(seek(5000, 3).body.readBigUInt64LE(0)).toBe(8192n);
    expect(seek(20_000, 3).error).toBe(-6);
    expect(seek(0, 0).error).toBe(-22);
    expect(seek(2n ** 60n, 3).error).toBe(-75);
  });

  it('FLUSH and FSYNC are not needed where nothing changes; RELEASE and DESTROY are acknowledged', () => {
    for (const opcode of [Opcode.FUSE_FLUSH, Opcode.FUSE_FSYNC, Opcode.FUSE_FSYNCDIR]) {
      expect(errorOf({ opcode, node: file, body: Buffer.alloc(24) })).toBe(-38);
    }
    for (const opcode of [Opcode.FUSE_RELEASE, Opcode.FUSE_RELEASEDIR, Opcode.FUSE_DESTROY]) {
      expect(errorOf({ opcode, node: file, body: Buffer.alloc(24) })).toBe(0);
    }
  });
});

interface Listed {
  readonly name: string;
  readonly ino: number;
  readonly type: number;
  readonly cookie: number;
  readonly node?: number;
}

function decodeListing(body: Buffer, plus: boolean): Listed[] {
  const listed: Listed[] = [];
  let at = 0;
  while (at < body.length) {
    const dirent = at + (plus ? 128 : 0);
    const length = body.readUInt32LE(dirent + 16);
    listed.push({
      name: body.toString('latin1', dirent + 24, dirent + 24 + length),
      ino: Number(body.readBigUInt64LE(dirent)),
      cookie: Number(body.readBigUInt64LE(dirent + 8)),
      type: body.readUInt32LE(dirent + 20),
      ...(plus && { node: Number(body.readBigUInt64LE(at)) }),
    });
    const end = dirent + 24 + length;
    at = end + ((8 - (end % 8)) % 8);
    expect(body.subarray(end, at).every((byte) => byte === 0)).toBe(true);
  }
  expect(at).toBe(body.length);
  return listed;
}

describe('directories', () => {
  const list = (node: number, offset: number, size: number, plus: boolean) =>
    ask({ opcode: plus ? Opcode.FUSE_READDIRPLUS : Opcode.FUSE_READDIR, node, body: readBody(offset, size) });

  it('READDIR', () => {
    expect(decodeListing(list(1, 0, 4096, false).body, false)).toEqual([
      { name: '.', ino: 1, type: 4, cookie: 1 },
      { name: '..', ino: 1, type: 4, cookie: 2 },
      { name: 'dir', ino: directory, type: 4, cookie: 3 },
      { name: 'link', ino: link, type: 10, cookie: 4 },
    ]);
    expect(list(1, 4, 4096, false).body.length).toBe(0);
    expect(list(1, 1e15, 4096, false).body.length).toBe(0);
    expect(list(file, 0, 4096, false).error).toBe(-20);
  });

  it('READDIRPLUS adds what a lookup would tell, but no nodes for "." and ".."', () => {
    const { body } = list(1, 0, 4096, true);
    expect(decodeListing(body, true).map(({ name, node }) => [name, node])).toEqual([
      ['.', 0],
      ['..', 0],
      ['dir', directory],
      ['link', link],
    ]);
    const looked = ask({ opcode: Opcode.FUSE_LOOKUP, body: nameBody('link') }).body;
    expect(body.includes(looked)).toBe(true);
  });

  it.each([false, true])('pages through 2,000 entries without loss, never over the size (plus: %s)', (plus) => {
    const big = tree.addDirectory(1, 'big');
    const names = Array.from({ length: 2000 }, (_, index) => 'n'.repeat(1 + (index % 200)) + index);
    for (const name of names) tree.addFile(big, name, Buffer.of());
    const seen: string[] = [];
    for (let cookie = 0; ; ) {
      const { body } = list(big, cookie, 4096, plus);
      expect(body.length).toBeLessThanOrEqual(4096);
      if (body.length === 0) break;
      const part = decodeListing(body, plus);
      seen.push(...part.map(({ name }) => name));
      cookie = part.at(-1)?.cookie ?? 0;
    }
    expect(seen).toEqual(['.', '..', ...names]);
  });

  it('says EINVAL rather than "end" when not even one entry fits', () => {
    expect(list(1, 0, 31, false).error).toBe(-22);
    expect(list(1, 0, 32, false).body.length).toBe(32);
    expect(list(1, 4, 0, false).error).toBe(0);
  });

  it('does not exceed its own space, whatever size is asked for', () => {
    const small = new Connection(tree, { maxTransfer: 4096 });
    const big = tree.addDirectory(1, 'big');
    for (let index = 0; index < 200; index++) tree.addFile(big, `name-${index}`, Buffer.of());
    const reply = ask({ opcode: Opcode.FUSE_READDIR, node: big, body: readBody(0, 0xffffffff) }, small);
    expect(reply.error).toBe(0);
    expect(reply.body.length).toBeGreaterThan(4000);
    expect(reply.body.length).toBeLessThanOrEqual(4096);
  });
});

describe('extended attributes', () => {
  const getxattr = (name: string, size: number) =>
    ask({ opcode: Opcode.FUSE_GETXATTR, node: file, body: Buffer.concat([u32s(size, 0), nameBody(name)]) });
  const listxattr = (size: number) => ask({ opcode: Opcode.FUSE_LISTXATTR, node: file, body: u32s(size, 0) });

  it('GETXATTR: size first, then the value, ERANGE between', () => {
    expect(getxattr('user.colour', 0).body).toEqual(u32s(4, 0));
    expect(getxattr('user.colour', 4).body.toString()).toBe('blue');
    expect(getxattr('user.colour', 100).body.toString()).toBe('blue');
    expect(getxattr('user.colour', 3).error).toBe(-34);
    expect(getxattr('user.n', 10).body.length).toBe(0);
    expect(getxattr('user.none', 10).error).toBe(-61);
    expect(getxattr('x'.repeat(256), 10).error).toBe(-36);
  });

  it('LISTXATTR likewise', () => {
    expect(listxattr(0).body).toEqual(u32s(19, 0));
    expect(listxattr(19).body.toString()).toBe('user.colour\0user.n\0');
    expect(listxattr(18).error).toBe(-34);
    expect(ask({ opcode: Opcode.FUSE_LISTXATTR, node: link, body: u32s(9, 0) }).body.length).toBe(0);
  });

  it('a value larger than any reply is ERANGE', () => {
    const small = new Connection(tree, { maxTransfer: 4096 });
    const fat = tree.addFile(1, 'fat', content, new Map([['user.fat', Buffer.alloc(5000)]]));
    const body = Buffer.concat([u32s(65_536, 0), nameBody('user.fat')]);
    expect(ask({ opcode: Opcode.FUSE_GETXATTR, node: fat, body }, small).error).toBe(-34);
  });
});

describe('what is not offered', () => {
  it.each([
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
    expect(errorOf({ opcode: Opcode[`FUSE_${name}`], node: file, body: Buffer.alloc(128) })).toBe(-30);
  });

  it.each([
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
    expect(errorOf({ opcode: Opcode[`FUSE_${name}`], node: file, body: Buffer.alloc(128) })).toBe(-38);
  });

  it.each([0, 7, 19, 54, 63, 64, 4096, 1_048_576, 436_207_616, 0xffffffff])(
    'opcode %i is unknown: ENOSYS',
    (opcode) => {
      expect(errorOf({ opcode, body: Buffer.alloc(64) })).toBe(-38);
      expect(counters[Counter.opcodes + (opcode < 64 ? opcode : 0)]).toBe(1);
    },
  );

  it.each(['FORGET', 'BATCH_FORGET', 'INTERRUPT', 'NOTIFY_REPLY'] as const)(
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

describe('faults', () => {
  it('what is no Errno becomes EIO, is reported once, and the next request is served', () => {
    const bug = new TypeError('a bug');
    tree.getattr = () => {
      throw bug;
    };
    expect(errorOf({ opcode: Opcode.FUSE_GETATTR, node: file, body: Buffer.alloc(16) })).toBe(-5);
    expect(faults).toEqual([[bug, 'GETATTR', file]]);
    expect(counters[Counter.faults]).toBe(1);
    expect(errorOf({ opcode: Opcode.FUSE_STATFS })).toBe(0);
  });

  it('an Errno is passed on and is no fault', () => {
    tree.read = () => {
      throw Errno.of('EIO');
    };
    expect(errorOf({ opcode: Opcode.FUSE_READ, node: file, body: readBody(0, 10) })).toBe(-5);
    expect(faults).toEqual([]);
  });

  it('survives a listener that throws', () => {
    const deaf = new Connection(tree, {
      onFault: () => {
        throw new Error('deaf');
      },
    });
    tree.statfs = () => {
      throw new Error('broken');
    };
    expect(ask({ opcode: Opcode.FUSE_STATFS }, deaf).error).toBe(-5);
  });

  it('nothing of one reply is left in the next', () => {
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

  it('wipe() leaves no byte of the last reply', () => {
    ask({ opcode: Opcode.FUSE_READ, node: file, body: readBody(0, 20_000) });
    connection.wipe();
    expect(connection.reply.bytes.every((byte) => byte === 0)).toBe(true);
  });
});

describe('serving one user only', () => {
  let mine: Connection;
  beforeEach(() => {
    mine = new Connection(tree, { onlyUid: 1000 });
  });

  it.each([0, 1000])('uid %i is served, without caching of names and attributes', (uid) => {
    const { error, body } = ask({ opcode: Opcode.FUSE_LOOKUP, uid, body: nameBody('dir') }, mine);
    expect([error, body.readBigUInt64LE(16), body.readBigUInt64LE(24)]).toEqual([0, 0n, 0n]);
    expect(ask({ opcode: Opcode.FUSE_OPEN, uid, node: file, body: u32s(0, 0) }, mine).error).toBe(0);
  });

  it('others are refused everything but what goes through an open descriptor', () => {
    for (const opcode of [
      Opcode.FUSE_LOOKUP,
      Opcode.FUSE_GETATTR,
      Opcode.FUSE_OPEN,
      Opcode.FUSE_OPENDIR,
      Opcode.FUSE_STATFS,
    ]) {
      expect(ask({ opcode, uid: 1001, body: Buffer.alloc(16) }, mine).error).toBe(-13);
    }
    expect(ask({ opcode: Opcode.FUSE_READ, uid: 1001, node: file, body: readBody(0, 10) }, mine).body.length).toBe(10);
  });
});

describe('malformed requests', () => {
  it('is silent when not even the header is there', () => {
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

  it.each(complete)(
    'opcode $opcode cut at every length is EINVAL, and nothing behind the end is read',
    ({ needed, ...fields }) => {
      const whole = encodeRequest(fields);
      for (let length = 40; length < whole.length; length++) {
        // The bytes behind the cut stay in memory: reading on would find them.
        const lying = new Region(Buffer.from(whole));
        expect(connection.handle(lying, length)).toBe(16);
        expect(connection.reply.view.getInt32(4, true)).toBe(-22);

        const honest = new Region(Buffer.from(whole));
        honest.view.setUint32(0, length, true);
        connection.handle(honest, length);
        expect(connection.reply.view.getInt32(4, true) === -22).toBe(length - 40 < needed);
      }
      const trailing = new Region(Buffer.concat([whole, Buffer.alloc(1)]));
      expect(connection.handle(trailing, whole.length + 1)).toBe(16);
    },
  );

  it('extensions are no part of the body', () => {
    const body = Buffer.concat([nameBody('dir'), Buffer.from('trailing')]);
    expect(errorOf({ opcode: Opcode.FUSE_LOOKUP, body, extensionLength: 1 })).toBe(0);
    expect(errorOf({ opcode: Opcode.FUSE_LOOKUP, body, extensionLength: 0 })).toBe(-22);
    expect(errorOf({ opcode: Opcode.FUSE_LOOKUP, body, extensionLength: 0xffff })).toBe(-22);
  });
});
