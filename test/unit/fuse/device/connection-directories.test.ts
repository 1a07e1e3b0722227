// Directory listings: feeds encoded READDIR and READDIRPLUS requests to a connection on a tree in memory.
import { constants } from 'node:os';
import { beforeEach, describe, expect, test } from 'vitest';
import { Connection } from '../../../../src/fuse/device/connection.ts';
import { Opcode } from '../../../../src/fuse/protocol/abi.ts';
import { nameBody, readBody } from '../../../support/fuse/request-encoder.ts';
import { ask, directory, file, link, serveAnew, tree } from './served-tree.ts';

const { errno } = constants;

beforeEach(serveAnew);

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

  test('READDIR', () => {
    expect(decodeListing(list(1, 0, 4096, false).body, false)).toEqual([
      { name: '.', ino: 1, type: 4, cookie: 1 },
      { name: '..', ino: 1, type: 4, cookie: 2 },
      { name: 'dir', ino: directory, type: 4, cookie: 3 },
      { name: 'link', ino: link, type: 10, cookie: 4 },
    ]);
    expect(list(1, 4, 4096, false).body.length).toBe(0);
    expect(list(1, 1e15, 4096, false).body.length).toBe(0);
    expect(list(file, 0, 4096, false).error).toBe(-errno.ENOTDIR);
  });

  test('READDIRPLUS adds what a lookup would tell, but no nodes for "." and ".."', () => {
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

  test.each([false, true])('pages through 2,000 entries without loss, never over the size (plus: %s)', (plus) => {
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

  test('says EINVAL rather than "end" when not even one entry fits', () => {
    expect(list(1, 0, 31, false).error).toBe(-errno.EINVAL);
    expect(list(1, 0, 32, false).body.length).toBe(32);
    expect(list(1, 4, 0, false).error).toBe(0);
  });

  test('does not exceed its own space, whatever size is asked for', () => {
    const small = new Connection(tree, { maxTransfer: 4096 });
    const big = tree.addDirectory(1, 'big');
    for (let index = 0; index < 200; index++) tree.addFile(big, `name-${index}`, Buffer.of());
    const reply = ask({ opcode: Opcode.FUSE_READDIR, node: big, body: readBody(0, 0xffffffff) }, small);
    expect(reply.error).toBe(0);
    expect(reply.body.length).toBeGreaterThan(4000);
    expect(reply.body.length).toBeLessThanOrEqual(4096);
  });
});
