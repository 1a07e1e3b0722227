// Making, linking, renaming and removing nodes: encoded requests, and the calls that they cause.
import { constants } from 'node:os';
import { beforeEach, describe, expect, test } from 'vitest';
import { Opcode } from '../../../../src/fuse/protocol/abi.ts';
import { nameBody, namesBody, u32s, u64s } from '../../../support/fuse/request-encoder.ts';
import { year } from './served-tree.ts';
import { addDirectory, addFile, ask, errorOf, faults, nodeOf, serveAnew, takeCalls, tree } from './served-writable.ts';

const { errno } = constants;

beforeEach(serveAnew);

const caller = { uid: 1000, gid: 100 };

/** struct fuse_entry_out: node, generation, both times, and of the attributes node, mode, links, uid, gid. */
function entryOf(body: Buffer): unknown {
  const attributes = body.subarray(40, 128);
  return {
    node: Number(body.readBigUInt64LE(0)),
    generation: body.readBigUInt64LE(8),
    valid: [body.readBigUInt64LE(16), body.readBigUInt64LE(24), body.readBigUInt64LE(32)],
    ino: Number(attributes.readBigUInt64LE(0)),
    mode: attributes.readUInt32LE(60),
    links: attributes.readUInt32LE(64),
    owner: [attributes.readUInt32LE(68), attributes.readUInt32LE(72)],
  };
}

const madeEntry = (node: number, mode: number) => ({
  node,
  generation: 0n,
  valid: [year, year, 0n],
  ino: node,
  mode,
  links: 1,
  owner: [1000, 100],
});

describe('making', () => {
  const createBody = (name: string, mode = 0o100644) => Buffer.concat([u32s(0o101, mode, 0o022, 0), nameBody(name)]);

  test('CREATE makes a file of the caller, and opens it without a handle', () => {
    const { error, body } = ask({ opcode: Opcode.FUSE_CREATE, ...caller, body: createBody('a', 0o104640) });
    expect(error).toBe(0);
    const node = nodeOf('a');
    expect(entryOf(body)).toEqual(madeEntry(node, 0o104640));
    // fh, open_flags (FOPEN_KEEP_CACHE), padding
    expect(body.subarray(128)).toEqual(Buffer.concat([u64s(0), u32s(2, 0)]));
    expect(takeCalls()).toEqual([
      ['create', 1, 'a', 0o4640, caller],
      ['addLookup', node],
    ]);
  });

  test.each([
    ['with a kernel that keeps caches true to what is written directly', 2 ** 4, 3],
    ['with an older kernel', 0, 2],
  ])('CREATE opens what is to pass the page cache by, %s', (_, flags2, expected) => {
    const init = Buffer.concat([u32s(7, 45, 131_072, 1 << 30, flags2), Buffer.alloc(44)]);
    expect(errorOf({ opcode: Opcode.FUSE_INIT, node: 0, body: init })).toBe(0);
    tree.isDirect = true;
    const { body } = ask({ opcode: Opcode.FUSE_CREATE, ...caller, body: createBody('a') });
    // open_flags: FOPEN_KEEP_CACHE, and FOPEN_DIRECT_IO
    expect(body.readUInt32LE(128 + 8)).toBe(expected);
  });

  test('CREATE of what exists is EEXIST, in no directory ENOTDIR, in none ENOENT', () => {
    const file = addFile('a');
    expect(errorOf({ opcode: Opcode.FUSE_CREATE, body: createBody('a') })).toBe(-errno.EEXIST);
    expect(errorOf({ opcode: Opcode.FUSE_CREATE, node: file, body: createBody('b') })).toBe(-errno.ENOTDIR);
    expect(errorOf({ opcode: Opcode.FUSE_CREATE, node: 99, body: createBody('b') })).toBe(-errno.ENOENT);
    expect(takeCalls().filter(([method]) => method === 'addLookup')).toEqual([]);
  });

  test('MKNOD makes regular files, FIFOs and sockets, but no devices', () => {
    const body = (mode: number) => Buffer.concat([u32s(mode, 0, 0o022, 0), nameBody('a')]);
    for (const mode of [0o020644, 0o060644, 0o040755, 0o120777, 0o644]) {
      expect(errorOf({ opcode: Opcode.FUSE_MKNOD, body: body(mode) })).toBe(-errno.EPERM);
    }
    expect(takeCalls()).toEqual([]);
    const reply = ask({ opcode: Opcode.FUSE_MKNOD, ...caller, body: body(0o100600) });
    expect(reply.body.length).toBe(128);
    expect(entryOf(reply.body)).toEqual(madeEntry(nodeOf('a'), 0o100600));
    expect(takeCalls()).toEqual([
      ['create', 1, 'a', 0o600, caller],
      ['addLookup', nodeOf('a')],
    ]);
    for (const [name, type, mode] of [
      ['p', 'fifo', 0o010620],
      ['s', 'socket', 0o140755],
    ] as const) {
      const meeting = Buffer.concat([u32s(mode, 0, 0o022, 0), nameBody(name)]);
      const made = ask({ opcode: Opcode.FUSE_MKNOD, ...caller, body: meeting });
      expect(entryOf(made.body)).toEqual(madeEntry(nodeOf(name), mode));
      expect(takeCalls()).toEqual([
        ['mknod', 1, name, type, mode & 0o777, caller],
        ['addLookup', nodeOf(name)],
      ]);
      expect(errorOf({ opcode: Opcode.FUSE_MKNOD, ...caller, body: meeting })).toBe(-errno.EEXIST);
      takeCalls();
    }
  });

  test('MKDIR', () => {
    const reply = ask({ opcode: Opcode.FUSE_MKDIR, ...caller, body: Buffer.concat([u32s(0o1755, 0), nameBody('d')]) });
    expect(entryOf(reply.body)).toEqual(madeEntry(nodeOf('d'), 0o041755));
    expect(takeCalls()).toEqual([
      ['mkdir', 1, 'd', 0o1755, caller],
      ['addLookup', nodeOf('d')],
    ]);
  });

  test('SYMLINK takes a target of any bytes but NUL, up to 4095', () => {
    const target = `/a/\xff/${'x'.repeat(4000)}`;
    const body = namesBody('l', Buffer.from(target, 'latin1'));
    const reply = ask({ opcode: Opcode.FUSE_SYMLINK, ...caller, body });
    expect(entryOf(reply.body)).toEqual(madeEntry(nodeOf('l'), 0o120777));
    expect(takeCalls()).toEqual([
      ['symlink', 1, 'l', target, caller],
      ['addLookup', nodeOf('l')],
    ]);
    expect(ask({ opcode: Opcode.FUSE_READLINK, node: nodeOf('l') }).body.toString('latin1')).toBe(target);
    expect(errorOf({ opcode: Opcode.FUSE_SYMLINK, body: namesBody('m', 'x'.repeat(4095)) })).toBe(0);
    expect(errorOf({ opcode: Opcode.FUSE_SYMLINK, body: namesBody('n', 'x'.repeat(4096)) })).toBe(-errno.ENAMETOOLONG);
    expect(errorOf({ opcode: Opcode.FUSE_SYMLINK, body: namesBody('n', '') })).toBe(-errno.EINVAL);
    expect(errorOf({ opcode: Opcode.FUSE_SYMLINK, body: namesBody('n', 'a', 'b') })).toBe(-errno.EINVAL);
    expect(errorOf({ opcode: Opcode.FUSE_SYMLINK, body: nameBody('n') })).toBe(-errno.EINVAL);
  });

  test('LINK tells of the new name with the new number of links', () => {
    const file = addFile('a');
    const directory = addDirectory('d');
    const body = (node: number, name: string) => Buffer.concat([u64s(node), nameBody(name)]);
    const reply = ask({ opcode: Opcode.FUSE_LINK, node: directory, body: body(file, 'b') });
    expect(entryOf(reply.body)).toMatchObject({ node: file, links: 2 });
    expect(takeCalls()).toEqual([
      ['link', file, directory, 'b'],
      ['addLookup', file],
    ]);
    expect(errorOf({ opcode: Opcode.FUSE_LINK, body: body(directory, 'c') })).toBe(-errno.EPERM);
    expect(errorOf({ opcode: Opcode.FUSE_LINK, body: body(99, 'c') })).toBe(-errno.ENOENT);
    expect(errorOf({ opcode: Opcode.FUSE_LINK, body: body(file, 'a') })).toBe(-errno.EEXIST);
  });
});

describe('taking names away', () => {
  test('UNLINK and RMDIR', () => {
    const file = addFile('a');
    const directory = addDirectory('d');
    expect(errorOf({ opcode: Opcode.FUSE_UNLINK, body: nameBody('d') })).toBe(-errno.EISDIR);
    expect(errorOf({ opcode: Opcode.FUSE_RMDIR, body: nameBody('a') })).toBe(-errno.ENOTDIR);
    takeCalls();
    expect(ask({ opcode: Opcode.FUSE_UNLINK, body: nameBody('a') })).toMatchObject({ error: 0, body: Buffer.of() });
    expect(ask({ opcode: Opcode.FUSE_RMDIR, body: nameBody('d') })).toMatchObject({ error: 0, body: Buffer.of() });
    expect(takeCalls()).toEqual([
      ['unlink', 1, 'a'],
      ['rmdir', 1, 'd'],
    ]);
    expect([tree.nodes.has(file), tree.nodes.has(directory)]).toEqual([false, false]);
    expect(errorOf({ opcode: Opcode.FUSE_UNLINK, body: nameBody('a') })).toBe(-errno.ENOENT);
    expect(errorOf({ opcode: Opcode.FUSE_RMDIR, body: nameBody('d') })).toBe(-errno.ENOENT);
  });

  test('RENAME and RENAME2', () => {
    const file = addFile('a');
    const directory = addDirectory('d');
    takeCalls();
    const rename = Buffer.concat([u64s(directory), namesBody('a', 'b')]);
    expect(ask({ opcode: Opcode.FUSE_RENAME, body: rename })).toMatchObject({ error: 0, body: Buffer.of() });
    const again = (flags: number) =>
      errorOf({
        opcode: Opcode.FUSE_RENAME2,
        node: directory,
        body: Buffer.concat([u64s(1), u32s(flags, 0), namesBody('b', 'c')]),
      });
    // RENAME_WHITEOUT, both at once, one that does not exist.
    for (const flags of [4, 3, 5, 8, 0x80000000]) expect(again(flags)).toBe(-errno.EINVAL);
    expect(again(2)).toBe(-errno.ENOENT);
    expect(again(1)).toBe(0);
    addFile('x');
    expect(
      errorOf({ opcode: Opcode.FUSE_RENAME2, body: Buffer.concat([u64s(1), u32s(2, 0), namesBody('c', 'x')]) }),
    ).toBe(0);
    expect(
      errorOf({ opcode: Opcode.FUSE_RENAME2, body: Buffer.concat([u64s(1), u32s(0, 0), namesBody('x', 'y')]) }),
    ).toBe(0);
    expect(takeCalls()).toEqual([
      ['rename', 1, 'a', directory, 'b', 'replace'],
      ['rename', directory, 'b', 1, 'c', 'exchange'],
      ['rename', directory, 'b', 1, 'c', 'no-replace'],
      ['rename', 1, 'c', 1, 'x', 'exchange'],
      ['rename', 1, 'x', 1, 'y', 'replace'],
    ]);
    expect(nodeOf('y')).toBe(file);
  });
});

describe('names that cannot be', () => {
  const bodies: Record<string, (name: Uint8Array) => Buffer> = {
    CREATE: (name) => Buffer.concat([u32s(0o101, 0o100644, 0, 0), nameBody(name)]),
    MKNOD: (name) => Buffer.concat([u32s(0o100644, 0, 0, 0), nameBody(name)]),
    MKDIR: (name) => Buffer.concat([u32s(0o755, 0), nameBody(name)]),
    SYMLINK: (name) => namesBody(name, 'target'),
    LINK: (name) => Buffer.concat([u64s(2), nameBody(name)]),
    UNLINK: (name) => nameBody(name),
    RMDIR: (name) => nameBody(name),
    RENAME: (name) => Buffer.concat([u64s(1), namesBody(name, 'new')]),
    'RENAME to': (name) => Buffer.concat([u64s(1), namesBody('a', name)]),
    RENAME2: (name) => Buffer.concat([u64s(1), u32s(1, 0), namesBody(name, 'new')]),
    'RENAME2 to': (name) => Buffer.concat([u64s(1), u32s(1, 0), namesBody('a', name)]),
  };

  test.each(Object.entries(bodies))('%s: "", ".", "..", a slash, more than 255 bytes, no NUL', (operation, body) => {
    addFile('a');
    takeCalls();
    const opcode = Opcode[`FUSE_${operation.split(' ')[0]}` as keyof typeof Opcode];
    for (const name of ['', '.', '..', 'a/b', '/']) {
      expect(errorOf({ opcode, body: body(Buffer.from(name)) })).toBe(-errno.EINVAL);
    }
    expect(errorOf({ opcode, body: body(Buffer.alloc(256, 0x61)) })).toBe(-errno.ENAMETOOLONG);
    const whole = body(Buffer.from('name'));
    for (let length = 0; length < whole.length; length++) {
      expect(errorOf({ opcode, body: whole.subarray(0, length) })).toBe(-errno.EINVAL);
    }
    expect(takeCalls()).toEqual([]);
    expect(faults).toEqual([]);
  });
});
