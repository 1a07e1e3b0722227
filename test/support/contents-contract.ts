import { beforeEach, expect, test } from 'vitest';
import type { WritableFileSystem } from '../../src/fuse/protocol/filesystem.ts';
import { bytes, FileSystemClient, refuses } from './file-system-client.ts';

const block = 4096;

/** What every WritableFileSystem must do with contents and attributes. */
export function describeContents(make: () => WritableFileSystem): void {
  let files: WritableFileSystem;
  let client: FileSystemClient;
  beforeEach(() => {
    files = make();
    client = new FileSystemClient(files);
  });

  test('writes anywhere, and reads zeros where nothing was written', () => {
    const file = client.create('a');
    client.write(file, 5, bytes('hello'));
    client.write(file, 3 * block - 2, bytes('over the edge'));
    client.write(file, 7, bytes('LL'));
    const whole = Buffer.alloc(3 * block + 11);
    whole.write('heLLo', 5);
    whole.write('over the edge', 3 * block - 2);
    expect(client.read(file).equals(whole)).toBe(true);
    expect(client.read(file, 3 * block, 5).toString()).toBe('er th');
    expect(files.getattr(file).size).toBe(whole.length);
    expect(client.read(file, whole.length, 10).length).toBe(0);
    expect(client.read(file, 10 * block, 10).length).toBe(0);
    client.write(file, 2 ** 33, bytes('far'));
    expect([files.getattr(file).size, files.seek(file, 4 * block, 'data')]).toEqual([2 ** 33 + 3, 2 ** 33]);
    refuses('EISDIR', () => client.write(client.mkdir('d'), 0, bytes('x')));
    refuses('ENOENT', () => client.write(999_999, 0, bytes('x')));
  });

  test('cuts and grows; what was cut off does not come back', () => {
    const file = client.create('a');
    client.write(file, 0, Buffer.alloc(3 * block, 'x'));
    expect(files.setattr(file, { size: block + 5 }).size).toBe(block + 5);
    files.setattr(file, { size: 2 * block });
    expect(client.text(file)).toBe('x'.repeat(block + 5) + '\0'.repeat(block - 5));
    client.write(file, 2 * block + 100, bytes('y'));
    expect(client.read(file, 2 * block).toString('latin1')).toBe(`${'\0'.repeat(100)}y`);
    files.setattr(file, { size: 0 });
    expect(files.setattr(file, { size: 2 ** 40 }).size).toBe(2 ** 40);
    expect([files.getattr(file).blocks, client.read(file, block, 3)]).toEqual([0, Buffer.alloc(3)]);
    refuses('EISDIR', () => files.setattr(1, { size: 0 }));
  });

  test('punches, zeroes and extends', () => {
    const file = client.create('a');
    const whole = Buffer.alloc(20 * block, 'x');
    client.write(file, 0, whole);
    const expectZeros = (start: number, end: number) => {
      whole.fill(0, start, end);
      expect(client.read(file).equals(whole)).toBe(true);
    };
    const { blocks } = files.getattr(file);
    files.allocate(file, 100, 50, 'punch-hole', false);
    expectZeros(100, 150);
    files.allocate(file, 2 * block + 1, 12 * block, 'punch-hole', false);
    expectZeros(2 * block + 1, 14 * block + 1);
    expect(files.getattr(file).blocks).toBeLessThan(blocks);
    files.allocate(file, 15 * block, block, 'zero-keep-size', false);
    expectZeros(15 * block, 16 * block);
    files.allocate(file, 19 * block, 100 * block, 'punch-hole', false);
    expectZeros(19 * block, 20 * block);
    files.allocate(file, 18 * block, 100 * block, 'keep-size', false);
    expectZeros(0, 0);
    files.allocate(file, 0, 21 * block, 'extend', false);
    expect(files.getattr(file).size).toBe(21 * block);
    files.allocate(file, 0, block, 'extend', false);
    files.allocate(file, 18 * block, 4 * block, 'zero', false);
    expect(client.read(file).equals(Buffer.concat([whole.fill(0, 18 * block), Buffer.alloc(2 * block)]))).toBe(true);
    expect(files.seek(file, 100, 'data')).toBe(100);
    expect(files.seek(file, 4 * block, 'data')).toBe(14 * block);
    expect(files.seek(file, 14 * block, 'hole')).toBeLessThanOrEqual(16 * block);
    refuses('ENXIO', () => files.seek(file, 18 * block, 'data'));
    refuses('EISDIR', () => files.allocate(1, 0, 1, 'extend', false));
  });

  test('sets attributes, and times with what is changed', () => {
    const file = client.create('a');
    const past = { seconds: -5, nanoseconds: 7 };
    const old = { mtime: past };
    expect(files.setattr(file, { mode: 0o7700, uid: 5, mtime: past })).toMatchObject({
      ...old,
      mode: 0o107700,
      uid: 5,
      gid: 100,
    });
    expect(files.setattr(file, { gid: 6 })).toMatchObject({ ...old, mode: 0o107700, uid: 5, gid: 6 });
    expect(files.setattr(file, {})).toMatchObject(old);
    expect(files.setattr(file, { size: 3, mtime: past })).toMatchObject({ ...old, size: 3 });
    const changes: (() => unknown)[] = [
      () => files.setattr(file, { mtime: 'now' }),
      () => files.setattr(file, { size: 3 }),
      () => client.write(file, 0, bytes('x')),
      () => files.allocate(file, 0, 10, 'zero', false),
    ];
    for (const change of changes) {
      files.setattr(file, { mtime: past });
      change();
      expect(Math.abs(files.getattr(file).mtime.seconds - Date.now() / 1000)).toBeLessThan(60);
    }
    const future = { seconds: 2 ** 40, nanoseconds: 1 };
    expect(files.setattr(file, { atime: future })).toMatchObject({ atime: future });
    expect(files.setattr(file, { mtime: past, mode: 0o600 })).toMatchObject({ atime: future, ...old });
    client.read(file);
    expect(files.getattr(file)).toMatchObject({ atime: future, ...old });
    expect(files.setattr(file, { atime: 'now' }).atime.seconds).toBeLessThan(2 ** 39);
    for (const how of ['extend', 'keep-size', 'punch-hole', 'zero', 'zero-keep-size'] as const) {
      files.setattr(file, { mtime: past });
      files.allocate(file, 0, 1, how, false);
      expect(files.getattr(file).mtime.seconds, how).not.toBe(-5);
    }
    const inRoot: (() => unknown)[] = [
      () => client.create('b'),
      () => files.link(file, 1, bytes('c')),
      () => files.rename(1, bytes('c'), 1, bytes('e'), 'replace'),
      () => files.unlink(1, bytes('e')),
      () => client.mkdir('d'),
      () => files.rmdir(1, bytes('d')),
    ];
    for (const change of inRoot) {
      files.setattr(1, { mtime: past });
      change();
      expect(files.getattr(1).mtime.seconds).not.toBe(-5);
    }
  });

  test('takes privileges from files when told to', () => {
    const file = client.create('a');
    const modeAfter = (mode: number, change: () => unknown) => {
      files.setattr(file, { mode });
      change();
      return files.getattr(file).mode & 0o7777;
    };
    const ways: ((kill: boolean) => unknown)[] = [
      (kill) => files.setattr(file, { killPrivileges: kill }),
      (kill) => files.setattr(file, { uid: 7, killPrivileges: kill }),
      (kill) => files.setattr(file, { size: 1, killPrivileges: kill }),
      (kill) => client.write(file, 0, bytes('x'), kill),
      (kill) => files.allocate(file, 0, 10, 'extend', kill),
    ];
    for (const way of ways) {
      expect(modeAfter(0o7775, () => way(true))).toBe(0o1775);
      expect(modeAfter(0o6765, () => way(true))).toBe(0o2765);
      expect(modeAfter(0o7775, () => way(false))).toBe(0o7775);
    }
    files.setattr(1, { mode: 0o3775, killPrivileges: true });
    expect(files.getattr(1).mode & 0o7777).toBe(0o3775);
  });

  test('keeps extended attributes', () => {
    const set = (name: string, value: string, how: 'any' | 'create' | 'replace' = 'any') =>
      files.setxattr(1, bytes(name), bytes(value), how);
    const get = (name: string) => Buffer.from(files.getxattr(1, bytes(name))).toString('latin1');
    set('user.a', 'one', 'create');
    set('user.b/\xff', '');
    expect([get('user.a'), get('user.b/\xff')]).toEqual(['one', '']);
    expect(
      files
        .listxattr(1)
        .map((name) => Buffer.from(name).toString('latin1'))
        .sort(),
    ).toEqual(['user.a', 'user.b/\xff']);
    refuses('EEXIST', () => set('user.a', 'two', 'create'));
    refuses('ENODATA', () => set('user.c', 'two', 'replace'));
    set('user.a', 'x'.repeat(65_536), 'replace');
    expect(get('user.a').length).toBe(65_536);
    files.removexattr(1, bytes('user.a'));
    for (const work of [() => get('user.a'), () => files.removexattr(1, bytes('user.a'))]) refuses('ENODATA', work);
    for (const name of ['security.capability', 'system.posix_acl_access', 'trusted.x', 'User.a', 'user']) {
      refuses('EOPNOTSUPP', () => set(name, 'x'));
    }
  });
}
