import { constants } from 'node:os';
import { beforeEach, describe, expect, test } from 'vitest';
import { nativeOperations } from '../../../../src/fuse/native/native-operations.ts';
import { PathResolver } from '../../../../src/fuse/native/path-resolver.ts';
import { MemoryFileSystem } from '../../../support/fuse/memory-file-system.ts';

const { errno } = constants;

const content = Buffer.from('0123456789');
let tree: MemoryFileSystem;
let faults: unknown[];
let operations: ReturnType<typeof nativeOperations>;

beforeEach(() => {
  tree = new MemoryFileSystem();
  const directory = tree.addDirectory(1, 'dir');
  tree.addFile(directory, 'file', content, new Map([['user.colour', Buffer.from('blue')]]));
  tree.addFile(directory, 'n\xff', content);
  tree.addLink(1, 'link', Buffer.from('dir/file'));
  tree.addLink(1, 'odd', Buffer.from([0x61, 0xff]));
  faults = [];
  operations = nativeOperations(tree, (error) => faults.push(error));
});

/** What an operation answered with. */
function answerOf(start: (reply: (...answer: unknown[]) => void) => void): unknown[] {
  let answer: unknown[] | undefined;
  start((...given) => {
    expect(answer).toBeUndefined();
    answer = given;
  });
  if (answer === undefined) throw new Error('no answer');
  return answer;
}

describe('nativeOperations', () => {
  test('finds nodes by path', () => {
    expect(answerOf((reply) => operations.getattr('/dir/file', reply))).toEqual([
      0,
      expect.objectContaining({ size: 10, mode: 0o100644, ino: 3, nlink: 1 }),
    ]);
    expect(answerOf((reply) => operations.getattr('/', reply))[1]).toMatchObject({ ino: 1 });
    expect(answerOf((reply) => operations.getattr('/dir/none', reply))).toEqual([-errno.ENOENT]);
    expect(answerOf((reply) => operations.getattr('/dir/file/x', reply))).toEqual([-errno.ENOTDIR]);
  });

  test('gives no negative times, which fuse-native would turn into the far future', () => {
    expect(answerOf((reply) => operations.getattr('/dir/file', reply))[1]).toMatchObject({ mtime: 0 });
  });

  test('reads into the given buffer', () => {
    const buffer = Buffer.alloc(8, '.');
    expect(answerOf((reply) => operations.read('/dir/file', 0, buffer, 4, 3, reply))).toEqual([4]);
    expect(buffer.toString()).toBe('3456....');
    expect(answerOf((reply) => operations.read('/dir/file', 0, buffer, 8, 9, reply))).toEqual([1]);
    expect(answerOf((reply) => operations.read('/dir', 0, buffer, 8, 0, reply))).toEqual([-errno.EISDIR]);
    tree.read = () => 9;
    expect(answerOf((reply) => operations.read('/dir/file', 0, buffer, 8, 0, reply))).toEqual([-errno.EIO]);
    expect(faults).toHaveLength(1);
  });

  test('lists directories, with U+FFFD for what is not UTF-8', () => {
    expect(answerOf((reply) => operations.readdir('/dir', reply)).slice(0, 2)).toEqual([
      0,
      ['.', '..', 'file', 'n\ufffd'],
    ]);
    expect(answerOf((reply) => operations.getattr('/dir/n\ufffd', reply))).toEqual([-errno.ENOENT]);
  });

  test('refuses link targets it would have to change', () => {
    expect(answerOf((reply) => operations.readlink('/link', reply))).toEqual([0, 'dir/file']);
    expect(answerOf((reply) => operations.readlink('/odd', reply))).toEqual([-errno.EIO]);
  });

  test('opens for reading only', () => {
    expect(answerOf((reply) => operations.open('/dir/file', 0, reply))).toEqual([0, 0]);
    for (const flags of [1, 2, 0o1000]) {
      expect(answerOf((reply) => operations.open('/dir/file', flags, reply))).toEqual([-errno.EROFS]);
    }
    expect(answerOf((reply) => operations.access('/dir/file', 4, reply))).toEqual([0]);
    expect(answerOf((reply) => operations.access('/dir/file', 2, reply))).toEqual([-errno.EROFS]);
  });

  test('minds the room an extended attribute has', () => {
    const { xattrs } = operations;
    const room = Buffer.alloc(12);
    expect(xattrs.getxattr('/dir/file', 'user.colour', Buffer.alloc(0))).toBe(4);
    expect(xattrs.getxattr('/dir/file', 'user.colour', Buffer.alloc(3))).toBe(-errno.ERANGE);
    expect(xattrs.getxattr('/dir/file', 'user.none', room)).toBe(-errno.ENODATA);
    expect(xattrs.listxattr('/dir/file', Buffer.alloc(11))).toBe(-errno.ERANGE);
    expect(xattrs.listxattr('/dir/file', room)).toBe(12);
    expect(room.toString()).toBe('user.colour\0');
  });

  test.each(['truncate', 'write', 'create', 'unlink', 'setxattr', 'rename', 'utimens', 'symlink'] as const)(
    '%s is EROFS',
    (name) => {
      expect(answerOf((reply) => operations[name]('/dir/file', 1, reply))).toEqual([-errno.EROFS]);
    },
  );

  test('turns what is no Errno into EIO and reports it', () => {
    tree.statfs = () => {
      throw new Error('a bug');
    };
    expect(answerOf((reply) => operations.statfs('/', reply))).toEqual([-errno.EIO]);
    expect(faults).toEqual([new Error('a bug')]);
  });
});

test('PathResolver asks once per path, and forgets the oldest of many', () => {
  let lookups = 0;
  const { lookup } = tree;
  tree.lookup = (parent, name) => {
    lookups++;
    return lookup.call(tree, parent, name);
  };
  const paths = new PathResolver(tree);
  paths.resolve('/link');
  paths.resolve('/link');
  expect(lookups).toBe(1);
  for (let index = 0; index < 4096; index++) paths.resolve('/'.repeat(index + 1));
  paths.resolve('/link');
  expect(lookups).toBe(2);
});
