import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Errno } from '../../../src/base/errno.ts';
import { type CkptfsError, ioError } from '../../../src/base/errors.ts';
import { Region } from '../../../src/base/linux/native.ts';
import type { RenameMode } from '../../../src/base/names.ts';
import type { Secret } from '../../../src/crypto/secret.ts';
import { DeferredWrites } from '../../../src/fs/deferred-writes.ts';
import { WritableTree } from '../../../src/fs/writable-tree.ts';
import type { AllocateMode } from '../../../src/fuse/protocol/filesystem.ts';
import { beginImage } from '../../../src/image/writable/begin-image.ts';
import { recoverImage } from '../../../src/image/writable/close-unsealed.ts';
import { openWritable } from '../../../src/image/writable/open-writable.ts';
import type { WritableImage } from '../../../src/image/writable/writable-image.ts';
import { LocalWritableStore } from '../../../src/stores/local-writable-store.ts';
import type { WritableObject } from '../../../src/stores/writable-store.ts';
import { allTimes } from '../../support/times.ts';

const root = 1;
const caller = { uid: 7, gid: 8 };
const slot = { protected: 'e30', encrypted_key: 'AA', iv: 'AA', ciphertext: 'AA', tag: 'AA' };

/** A store whose objects fail to be written when the test says so. */
class FailingStore extends LocalWritableStore {
  failure: NodeJS.ErrnoException | undefined;
  failsToSync = true;

  override createObject(id: string): WritableObject {
    const file = super.createObject(id);
    const check = (): void => {
      if (this.failure !== undefined) throw refusal('cannot write it', this.failure);
    };
    return {
      write: (...args) => {
        check();
        file.write(...args);
      },
      read: (...args) => file.read(...args),
      punch: (...args) => file.punch(...args),
      truncate: (...args) => file.truncate(...args),
      sync: () => {
        if (this.failsToSync) check();
        file.sync();
      },
      close: () => file.close(),
    };
  }
}

let directory: string;
let location: string;
let store: FailingStore;
let image: WritableImage;
let tree: DeferredWrites;
let milliseconds: number;
let key: Secret;
const faults: string[] = [];

beforeEach(async () => {
  directory = fs.mkdtempSync(join(tmpdir(), 'ckptfs-writable-tree-'));
  location = join(directory, 'enc');
  const created = LocalWritableStore.create(location);
  const makeSlots = (): Promise<(typeof slot)[]> => Promise.resolve([slot]);
  const rootOf = { mode: 0o755, uid: 0, gid: 0 };
  const { header, imageKey } = await beginImage(created, { makeSlots, root: rootOf, cipher: 'aes-256-xts' });
  created.close();
  key = imageKey;
  store = new FailingStore(location);
  milliseconds = 1_000_000_000_500;
  const clock = (): number => milliseconds;
  image = openWritable(store, header, imageKey, { clock });
  tree = new DeferredWrites(new WritableTree(image, (line) => faults.push(line), 'auto', clock), image);
});

afterEach(() => {
  image.close();
  store.close();
  fs.rmSync(directory, { recursive: true });
  expect(faults.splice(0)).toEqual([]);
});

const refusal = (message: string, cause: unknown): CkptfsError => ioError('write', 'it', cause).reworded(message);
const name = (text: string): Buffer => Buffer.from(text, 'latin1');
const refuses = (errno: Parameters<typeof Errno.of>[0], act: () => unknown): void =>
  expect(act).toThrow(Errno.of(errno));

function file(text: string, content = '', parent = root): number {
  const { node } = tree.create(parent, name(text), 0o644, caller);
  if (content !== '') write(node, content);
  return node;
}

function write(node: number, content: string, offset = 0, killPrivileges = false): void {
  const from = new Region(Buffer.from(`..${content}`, 'latin1'));
  tree.write(node, offset, content.length, from, 2, killPrivileges);
}

function content(node: number): string {
  const out = new Region(tree.getattr(node).size + 10);
  return out.bytes.toString('latin1', 0, tree.read(node, 0, out.length, out, 0));
}

function listed(node: number): string[] {
  const names: string[] = [];
  for (let entry = tree.entryAfter(node, 0); entry !== undefined; entry = tree.entryAfter(node, entry.cookie)) {
    names.push(`${String(entry.name)}=${entry.attributes.node}`);
  }
  return names;
}

/** Looks a name up without raising the lookup count of its node. */
function nodeOf(parent: number, text: string): number | undefined {
  try {
    return tree.lookup(parent, name(text)).node;
  } catch (error) {
    if (error === Errno.of('ENOENT')) return undefined;
    throw error;
  }
}

describe('a new node', () => {
  test('belongs to the caller and has the mode asked for', () => {
    expect(tree.create(root, name('f'), 0o4751, caller)).toEqual({
      node: 2,
      mode: 0o104751,
      size: 0,
      blocks: 0,
      links: 1,
      uid: 7,
      gid: 8,
      ...allTimes({ seconds: 1_000_000_000, nanoseconds: 500_000_000 }),
    });
    expect(tree.mkdir(root, name('d'), 0o1700, caller)).toMatchObject({ mode: 0o041700, size: 4096, links: 2 });
    const link = tree.symlink(root, name('l'), name('to/\xff'), caller);
    expect(link).toMatchObject({ mode: 0o120777, size: 4, links: 1, uid: 7 });
    expect(Buffer.from(tree.readlink(link.node)).toString('hex')).toBe('746f2fff');
    expect(tree.getattr(root).links).toBe(3);
  });

  test('gets the group of a directory with the set-group-id bit, and a directory the bit too', () => {
    const { node } = tree.mkdir(root, name('shared'), 0o2775, { uid: 1, gid: 99 });
    expect(tree.create(node, name('f'), 0o644, caller)).toMatchObject({ mode: 0o100644, uid: 7, gid: 99 });
    expect(tree.symlink(node, name('l'), name('x'), caller)).toMatchObject({ mode: 0o120777, gid: 99 });
    expect(tree.mkdir(node, name('d'), 0o755, caller)).toMatchObject({ mode: 0o042755, gid: 99 });
  });

  test('is refused where it is impossible', () => {
    const f = file('f');
    refuses('EEXIST', () => tree.create(root, name('f'), 0o644, caller));
    refuses('EEXIST', () => tree.mkdir(root, name('f'), 0o755, caller));
    refuses('ENOTDIR', () => tree.create(f, name('x'), 0o644, caller));
    refuses('ENOENT', () => tree.symlink(99, name('x'), name('y'), caller));
    const { node } = tree.mkdir(root, name('d'), 0o755, caller);
    refuses('EPERM', () => tree.link(node, root, name('x')));
    tree.addLookup(node);
    tree.rmdir(root, name('d'));
    refuses('ENOENT', () => tree.create(node, name('x'), 0o644, caller));
    refuses('ENOENT', () => tree.link(99, root, name('x')));
  });

  test('can have more names', () => {
    const f = file('f', 'data');
    expect(tree.link(f, root, name('g'))).toMatchObject({ node: f, links: 2, size: 4 });
    tree.unlink(root, name('f'));
    expect(tree.lookup(root, name('g'))).toMatchObject({ node: f, links: 1 });
  });
});

describe('a node without a name', () => {
  test('stays as long as its lookup count is above 0', () => {
    const f = file('f', 'data');
    tree.addLookup(f);
    tree.addLookup(f);
    tree.unlink(root, name('f'));
    write(f, 'more', 4);
    expect(tree.getattr(f)).toMatchObject({ links: 0, size: 8 });
    tree.forget(f, 1);
    expect(content(f)).toBe('datamore');
    tree.forget(f, 1);
    refuses('ENOENT', () => tree.getattr(f));
    expect(image.inodeCount).toBe(1);
  });

  test('is removed at once when its lookup count is 0', () => {
    const nodes = [file('f'), tree.mkdir(root, name('d'), 0o755, caller).node, file('g'), file('h')];
    tree.unlink(root, name('f'));
    tree.rmdir(root, name('d'));
    tree.rename(root, name('g'), root, name('h'), 'replace');
    expect(nodes.map((node) => image.inode(node) !== undefined)).toEqual([false, false, true, false]);
    expect(nodeOf(root, 'h')).toBe(nodes[2]);
  });

  test('goes, but a node with a name and the root stay, and a number without a node is ignored', () => {
    const f = file('f');
    tree.addLookup(f);
    tree.forget(f, 100);
    tree.forget(f, 1);
    tree.forget(root, 1);
    tree.forget(99, 1);
    expect(tree.getattr(f).links).toBe(1);
    expect(tree.getattr(root).links).toBe(2);
  });

  test('has no links, also if it is a directory', () => {
    const { node } = tree.mkdir(root, name('d'), 0o755, caller);
    tree.addLookup(node);
    tree.rmdir(root, name('d'));
    expect(tree.getattr(node).links).toBe(0);
    expect(tree.entryAfter(node, 2)).toBeUndefined();
  });
});

describe('names', () => {
  test.each<[RenameMode, string, string]>([
    ['replace', 'b=2', ''],
    ['exchange', 'b=2 a=3', 'a=3'],
  ])('are renamed: %s', (how, expected) => {
    file('a');
    file('b');
    tree.rename(root, name('a'), root, name('b'), how);
    expect(listed(root).slice(2).sort()).toEqual(expected.split(' ').sort());
  });

  test('are not renamed where that is impossible', () => {
    file('a');
    file('b');
    const { node } = tree.mkdir(root, name('d'), 0o755, caller);
    file('x', '', node);
    refuses('EEXIST', () => tree.rename(root, name('a'), root, name('b'), 'no-replace'));
    refuses('ENOENT', () => tree.rename(root, name('a'), root, name('c'), 'exchange'));
    refuses('ENOENT', () => tree.rename(root, name('c'), root, name('a'), 'replace'));
    refuses('EINVAL', () => tree.rename(root, name('d'), node, name('e'), 'replace'));
    refuses('EISDIR', () => tree.rename(root, name('a'), root, name('d'), 'replace'));
    refuses('ENOTEMPTY', () => tree.rmdir(root, name('d')));
    refuses('ENOTDIR', () => tree.rmdir(root, name('a')));
    refuses('EISDIR', () => tree.unlink(root, name('d')));
    refuses('ENOENT', () => tree.unlink(root, name('c')));
    expect(listed(root).slice(2)).toHaveLength(3);
  });

  test('are listed from the newest, and a listing continues from a name that is gone', () => {
    const nodes = ['a', 'b', 'c'].map((text) => file(text));
    expect(listed(root)).toEqual(['.=1', '..=1', `c=${nodes[2]}`, `b=${nodes[1]}`, `a=${nodes[0]}`]);
    const first = tree.entryAfter(root, 2);
    const second = tree.entryAfter(root, first?.cookie ?? 0);
    tree.unlink(root, name('b'));
    file('later');
    expect(String(tree.entryAfter(root, second?.cookie ?? 0)?.name)).toBe('a');
    refuses('ENOTDIR', () => tree.entryAfter(nodes[0] as number, 0));
    refuses('ENOENT', () => tree.entryAfter(99, 0));
  });

  test('lead from a directory to its parent', () => {
    const { node } = tree.mkdir(root, name('d'), 0o755, caller);
    const inner = tree.mkdir(node, name('e'), 0o755, caller).node;
    expect(listed(inner)).toEqual([`.=${inner}`, `..=${node}`]);
    expect(tree.getattr(node).links).toBe(3);
  });
});

describe('attributes', () => {
  test('change only as far as they are given', () => {
    const f = file('f', 'data');
    const before = tree.getattr(f);
    expect(tree.setattr(f, { mode: 0o600 })).toEqual({ ...before, mode: 0o100600 });
    expect(tree.setattr(f, { uid: 1, gid: 2 })).toEqual({ ...before, mode: 0o100600, uid: 1, gid: 2 });
    expect(tree.setattr(f, { mtime: { seconds: -5, nanoseconds: 7 } })).toMatchObject({
      mtime: { seconds: -5, nanoseconds: 7 },
    });
    milliseconds += 1000;
    expect(tree.setattr(f, {})).toMatchObject({ mtime: { seconds: -5 } });
    expect(tree.setattr(f, { mtime: 'now' })).toMatchObject({ mtime: { seconds: 1_000_000_001 } });
    refuses('ENOENT', () => tree.setattr(99, { mode: 0 }));
  });

  test('have a new mtime with a size, also the same one, unless it is given', () => {
    const f = file('f', 'data');
    milliseconds += 1000;
    expect(tree.setattr(f, { size: 4 })).toMatchObject({ size: 4, mtime: { seconds: 1_000_000_001 } });
    milliseconds += 1000;
    expect(tree.setattr(f, { size: 2, mtime: 'now' })).toMatchObject({ size: 2, mtime: { seconds: 1_000_000_002 } });
    expect(tree.setattr(f, { size: 6, mtime: { seconds: 3, nanoseconds: 0 } })).toMatchObject({
      mtime: { seconds: 3 },
    });
    expect(content(f)).toBe('da\0\0\0\0');
    refuses('EISDIR', () => tree.setattr(root, { size: 0 }));
    refuses('EINVAL', () => tree.setattr(tree.symlink(root, name('l'), name('x'), caller).node, { size: 0 }));
  });

  test.each([
    [0o6755, 0o0755],
    [0o6745, 0o2745],
    [0o4644, 0o0644],
    [0o1777, 0o1777],
  ])('lose set-user-id and set-group-id: %o becomes %o', (mode, kept) => {
    const kill = (act: (node: number) => unknown, text: string): void => {
      const { node } = tree.create(root, name(text), mode, caller);
      act(node);
      expect(tree.getattr(node).mode & 0o7777, text).toBe(kept);
    };
    kill((node) => write(node, 'x', 0, true), 'written');
    kill((node) => tree.setattr(node, { size: 0, killPrivileges: true }), 'cut');
    kill((node) => tree.setattr(node, { uid: 9, killPrivileges: true }), 'given away');
    kill((node) => tree.setattr(node, { mode, killPrivileges: true }), 'given away with a mode');
    kill((node) => tree.allocate(node, 0, 10, 'extend', true), 'lengthened');
    const untouched = tree.create(root, name('untouched'), mode, caller).node;
    write(untouched, 'x');
    const d = tree.mkdir(root, name('d'), mode, caller).node;
    tree.setattr(d, { uid: 9, killPrivileges: true });
    expect([untouched, d].map((node) => tree.getattr(node).mode & 0o7777)).toEqual([mode, mode]);
  });

  test('include extended ones', () => {
    const f = file('f');
    tree.setxattr(f, name('user.b'), name('1'), 'any');
    tree.setxattr(f, name('user.a'), name(''), 'create');
    tree.setxattr(f, name('user.b'), name('2'), 'replace');
    expect(tree.listxattr(f).map(String)).toEqual(['user.a', 'user.b']);
    expect(String(tree.getxattr(f, name('user.b')))).toBe('2');
    refuses('EEXIST', () => tree.setxattr(f, name('user.b'), name(''), 'create'));
    refuses('ENODATA', () => tree.setxattr(f, name('user.c'), name(''), 'replace'));
    refuses('E2BIG', () => tree.setxattr(f, name('user.c'), Buffer.alloc(65537), 'any'));
    for (const other of ['security.capability', 'trusted.x', 'system.posix_acl_access', 'user.']) {
      refuses('EOPNOTSUPP', () => tree.setxattr(f, name(other), name('x'), 'any'));
    }
    tree.removexattr(f, name('user.b'));
    refuses('ENODATA', () => tree.removexattr(f, name('user.b')));
    refuses('ENODATA', () => tree.getxattr(f, name('user.b')));
    expect(tree.listxattr(root)).toEqual([]);
  });

  test('of the file system are those of the one below, except the number of files', () => {
    const { bsize, blocks } = fs.statfsSync(directory);
    file('f');
    expect(tree.statfs()).toMatchObject({ blockSize: bsize, blocks, nameMax: 255 });
    expect(tree.statfs().freeBlocks).toBeGreaterThan(0);
    expect(tree.statfs().files - tree.statfs().freeFiles).toBe(2);
  });
});

describe('contents', () => {
  test('are read as they were written', () => {
    const f = file('f', 'x'.repeat(20_000));
    write(f, 'middle', 16_380);
    write(f, 'far', 100_000);
    const expected = `${'x'.repeat(16_380)}middle${'x'.repeat(3614)}${'\0'.repeat(80_000)}far`;
    expect(content(f) === expected).toBe(true);
    expect(tree.getattr(f)).toMatchObject({ size: 100_003, blocks: 6 * 8 });
    milliseconds += 1000;
    write(f, 'y');
    expect(tree.getattr(f).mtime.seconds).toBe(1_000_000_001);
  });

  test('exist only in files', () => {
    const link = tree.symlink(root, name('l'), name('x'), caller).node;
    refuses('EISDIR', () => content(root));
    refuses('EINVAL', () => content(link));
    refuses('EISDIR', () => write(root, 'x'));
    refuses('ENOENT', () => write(99, 'x'));
    refuses('EINVAL', () => tree.readlink(root));
    refuses('EISDIR', () => tree.allocate(root, 0, 1, 'keep-size', false));
    refuses('EINVAL', () => tree.allocate(link, 0, 1, 'keep-size', false));
  });

  test.each<[AllocateMode, number, string]>([
    ['extend', 6000, 'data, then 0'],
    ['keep-size', 5000, 'data'],
    ['punch-hole', 5000, 'zeros'],
    ['zero', 6000, 'zeros'],
    ['zero-keep-size', 5000, 'zeros'],
  ])('are allocated: %s', (how, size, what) => {
    const f = file('f', 'x'.repeat(5000));
    tree.allocate(f, 4096, 6000 - 4096, how, false);
    expect(tree.getattr(f).size).toBe(size);
    const rest = what === 'zeros' ? '' : 'x'.repeat(904);
    expect(content(f) === `${'x'.repeat(4096)}${rest}`.padEnd(size, '\0')).toBe(true);
  });

  test('have data and holes', () => {
    const f = file('f');
    tree.setattr(f, { size: 100_000 });
    write(f, 'x', 40_960);
    expect(tree.seek(f, 0, 'data')).toBe(40_960);
    expect(tree.seek(f, 40_960, 'hole')).toBe(45_056);
    refuses('ENXIO', () => tree.seek(f, 45_056, 'data'));
    refuses('ENXIO', () => tree.seek(f, 100_000, 'hole'));
    refuses('EISDIR', () => tree.seek(root, 0, 'data'));
  });
});

describe('a large write', () => {
  const size = 65_536;
  const accept = (node: number, fill: string): Region => {
    const from = new Region(Buffer.alloc(size + 2, fill));
    tree.write(node, 0, size, from, 2, false);
    return from;
  };
  const refuse = (code: string): void => {
    store.failure = Object.assign(new Error('no'), { code });
  };

  test('is deferred, and its bytes are taken after the request was answered', () => {
    const f = file('f');
    const from = accept(f, 'a');
    from.bytes.fill('b');
    tree.settle();
    from.bytes.fill('c');
    expect(content(f) === 'b'.repeat(size)).toBe(true);
    accept(f, 'd');
    expect(content(f) === 'd'.repeat(size)).toBe(true);
    expect(tree.settle()).toBeUndefined();
  });

  test('is refused before it is answered', () => {
    refuses('EISDIR', () => accept(root, 'x'));
    refuses('ENOENT', () => accept(99, 'x'));
    expect(tree.settle()).toBeUndefined();
  });

  test('is stored at once if a stored chunk must be read for it, which may be damaged', () => {
    const f = file('f', 'x'.repeat(200_000));
    tree.sync(f);
    const from = new Region(Buffer.alloc(size, 'y'));
    for (const [offset, isAccepted] of [
      [0, true],
      [16_384, true],
      [100, false],
      [200_000 - size, false],
      [200_000, false],
      [17 * 16_384, true],
    ] as const) {
      refuse('ENOSPC');
      if (isAccepted) tree.write(f, offset, size, from, 0, false);
      else refuses('ENOSPC', () => tree.write(f, offset, size, from, 0, false));
      store.failure = undefined;
      tree.flush(f);
    }
  });

  test('takes set-user-id bits away at once', () => {
    const { node } = tree.create(root, name('f'), 0o4755, caller);
    tree.write(node, 0, size, new Region(size), 0, true);
    expect(tree.getattr(node).mode).toBe(0o100755);
    tree.settle();
  });

  test('that cannot be stored waits, and every write, flush and sync fails until it is stored', () => {
    const [f, g] = [file('f'), file('g', 'other')];
    tree.flush(g);
    store.failsToSync = false;
    refuse('ENOSPC');
    const from = accept(f, 'a');
    tree.settle();
    from.bytes.fill('z');
    tree.settle();
    for (const node of [f, g]) {
      refuses('ENOSPC', () => write(node, 'x'));
      refuses('ENOSPC', () => accept(node, 'x'));
      refuses('ENOSPC', () => tree.flush(node));
      refuses('ENOSPC', () => tree.sync(node));
    }
    refuses('ENOSPC', () => content(f));
    refuses('ENOSPC', () => tree.seek(f, 0, 'data'));
    refuses('ENOSPC', () => tree.allocate(f, 0, 5, 'keep-size', false));
    expect(content(g)).toBe('other');
    expect(tree.getattr(f).size).toBe(size);
    expect(tree.lookup(root, name('f'))).toMatchObject({ node: f, size });
    expect(() => tree.finish()).toThrow(
      expect.objectContaining({
        code: 'io',
        message: 'what was written last to "f" could not be stored and is lost: cannot write it',
      }),
    );
    tree.rename(root, name('f'), root, name('h'), 'replace');
    store.failure = undefined;
    tree.flush(g);
    expect(content(f) === 'a'.repeat(size)).toBe(true);
    expect(tree.lookup(root, name('h')).node).toBe(f);
    tree.finish();
  });

  test('is stored at the end, if it can be then', () => {
    const f = file('f');
    refuse('EIO');
    const from = accept(f, 'a');
    tree.settle();
    from.bytes.fill('z');
    expect(faults.splice(0)).toEqual(['cannot write "f": cannot write it']);
    store.failure = undefined;
    tree.finish();
    tree.finish();
    expect(content(f) === 'a'.repeat(size)).toBe(true);
  });

  test('is stored at the end if making the rest durable gave space back', () => {
    const f = file('f');
    refuse('ENOSPC');
    accept(f, 'a');
    tree.settle();
    const { sync } = image;
    image.sync = () => {
      sync.call(image);
      store.failure = undefined;
    };
    store.failsToSync = false;
    tree.finish();
    image.sync = sync;
    expect(image.unstored.describe()).toBeUndefined();
    expect(content(f) === 'a'.repeat(size)).toBe(true);
  });

  test('is given up after the new end of its file', () => {
    const f = file('f', 'before');
    tree.flush(f);
    refuse('ENOSPC');
    accept(f, 'a');
    tree.settle();
    expect(tree.setattr(f, { size: 3 }).size).toBe(3);
    refuses('ENOSPC', () => tree.flush(f));
    store.failure = undefined;
    tree.flush(f);
    expect(content(f)).toBe('aaa');
    refuse('ENOSPC');
    accept(f, 'b');
    tree.settle();
    expect(tree.setattr(f, { size: 0 }).size).toBe(0);
    store.failure = undefined;
    tree.flush(f);
    expect(content(f)).toBe('');
  });

  test('is given up after the new end of its file also where the rest of the change fails', () => {
    const { node } = tree.create(root, name('f'), 0o4755, caller);
    refuse('ENOSPC');
    accept(node, 'a');
    tree.settle();
    const { setMetadata } = image;
    image.setMetadata = () => {
      throw refusal('cannot commit it', store.failure);
    };
    refuses('ENOSPC', () => tree.setattr(node, { size: 3, killPrivileges: true }));
    image.setMetadata = setMetadata;
    expect(tree.getattr(node)).toMatchObject({ mode: 0o104755, size: 3 });
    expect(tree.setattr(node, { size: 2, killPrivileges: true })).toMatchObject({ mode: 0o100755, size: 2 });
    store.failure = undefined;
    tree.flush(node);
    expect(content(node)).toBe('aa');
  });

  test('stays when its file could not be cut', () => {
    const f = file('f');
    refuse('ENOSPC');
    accept(f, 'a');
    tree.settle();
    const { truncate } = image;
    image.truncate = () => {
      throw refusal('cannot cut it', store.failure);
    };
    refuses('ENOSPC', () => tree.setattr(f, { size: 3 }));
    image.truncate = truncate;
    store.failure = undefined;
    expect(content(f) === 'a'.repeat(size)).toBe(true);
  });

  test('that is stored when its file is closed leaves it closed', () => {
    const f = file('f');
    refuse('ENOSPC');
    accept(f, 'a');
    tree.settle();
    expect(image.inode(f)).toMatchObject({ open: true, lost: true });
    store.failure = undefined;
    tree.flush(f);
    expect(image.inode(f)).toMatchObject({ open: false, lost: false });
  });

  test('that fails does not keep other files from being committed, but their flush fails', () => {
    const [f, g] = [file('f'), file('g')];
    accept(f, 'a');
    store.failure = undefined;
    tree.settle();
    write(g, 'x'.repeat(16_384));
    const { writeReserved } = image;
    image.writeReserved = (node, ...rest) => {
      if (node === f) throw refusal('cannot write it', Object.assign(new Error(), { code: 'EIO' }));
      writeReserved.call(image, node, ...rest);
    };
    accept(f, 'b');
    tree.settle();
    refuses('EIO', () => tree.flush(g));
    expect(() => tree.finish()).toThrow('is lost');
    image.close();
    expect(() => openWritable(store, image.header, key, {})).toThrow(
      expect.objectContaining({
        code: 'unsealed',
        message: expect.stringContaining('what was written last to "f": the store refused it'),
      }),
    );
    recoverImage(store, image.header, key);
    image = openWritable(store, image.header, key, {});
    expect(image.inode(g)).toMatchObject({ size: 16_384 });
    expect(faults.splice(0).length).toBeGreaterThan(0);
  });

  test('is dropped with its file', () => {
    const f = file('f');
    refuse('ENOSPC');
    accept(f, 'a');
    tree.settle();
    tree.unlink(root, name('f'));
    const g = file('g');
    tree.flush(g);
    store.failure = undefined;
    expect(content(g)).toBe('');
  });

  test('that fails by a fault of ckptfs stays as well', () => {
    const f = file('f');
    const { writeReserved } = image;
    image.writeReserved = () => {
      throw new TypeError('a fault');
    };
    const from = accept(f, 'a');
    expect(() => tree.settle()).toThrow(TypeError);
    image.writeReserved = writeReserved;
    from.bytes.fill('z');
    tree.flush(f);
    expect(content(f) === 'a'.repeat(size)).toBe(true);
  });
});

describe('an error of the store', () => {
  test.each(['ENOSPC', 'EDQUOT', 'EFBIG'] as const)(
    'reaches the program as it is, and writing goes on when there is space: %s',
    (code) => {
      const f = file('f', 'before');
      tree.flush(f);
      store.failure = Object.assign(new Error('no room'), { code });
      refuses(code, () => write(f, 'x'.repeat(16_384)));
      write(f, 'y');
      refuses(code, () => tree.flush(f));
      store.failure = undefined;
      tree.flush(f);
      tree.sync(f);
      expect(content(f)).toBe('yefore');
    },
  );

  test.each([
    ['EIO', 5],
    ['EROFS', 30],
    ['ESTALE', 116],
    ['EREMOTEIO', 121],
    ['EUCLEAN', 117],
    ['EACCES', 13],
  ] as const)('reaches the program as it is, and one line names the file: %s', (name_, number) => {
    const { node } = tree.mkdir(root, name('d'), 0o755, caller);
    const f = file('f\n', 'before', node);
    tree.addLookup(f);
    tree.flush(f);
    store.failure = Object.assign(new Error('broken'), {
      code: `Unknown system error -${number}`,
      errno: -number,
    });
    refuses(name_, () => write(f, 'x'.repeat(16_384)));
    expect(faults.splice(0)).toEqual(['cannot write "d/f\\n": cannot write it']);
    tree.unlink(node, name('f\n'));
    refuses(name_, () => write(f, 'x'.repeat(16_384)));
    expect(faults.splice(0)).toEqual(['cannot write a file without a name: cannot write it']);
    store.failure = undefined;
  });

  test.each(['ENOENT', 'EEXIST', 'EINVAL', 'ENOSYS', 'EAGAIN', 'EOPNOTSUPP'])(
    'becomes EIO if it would mislead a program or the kernel: %s',
    (code) => {
      const f = file('f', 'before');
      tree.flush(f);
      store.failure = Object.assign(new Error('broken'), { code });
      refuses('EIO', () => write(f, 'x'.repeat(16_384)));
      expect(faults.splice(0)).toEqual(['cannot write "f": cannot write it']);
      store.failure = undefined;
    },
  );

  test('becomes EIO and one line when authentication fails', () => {
    const f = file('f', 'x'.repeat(32_768));
    tree.sync(f);
    const [object = ''] = fs
      .readdirSync(join(location, 'objects'), { recursive: true, encoding: 'utf8' })
      .filter((path) => path.length > 3);
    const fd = fs.openSync(join(location, 'objects', object), 'r+');
    const byte = Buffer.alloc(1);
    fs.readSync(fd, byte, 0, 1, 8192 + 16_384);
    fs.writeSync(fd, Buffer.from([byte.readUInt8() ^ 1]), 0, 1, 8192 + 16_384);
    fs.closeSync(fd);
    const out = new Region(40_000);
    expect(tree.read(f, 0, 16_384, out, 0)).toBe(16_384);
    refuses('EIO', () => tree.read(f, 0, 32_768, out, 0));
    expect(out.bytes.subarray(0, 32_768).every((byte) => byte === 0)).toBe(true);
    const id = object.slice(3);
    expect(faults.splice(0)).toEqual([`cannot read "f": object ${id}, chunk 1: its tag does not match`]);
  });
});

test('a fault of ckptfs does not become an errno', () => {
  const f = file('f');
  image.seal();
  expect(() => write(f, 'x')).toThrow(expect.objectContaining({ code: 'internal' }));
});
