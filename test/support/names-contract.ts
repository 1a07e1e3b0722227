import { beforeEach, expect, test } from 'vitest';
import type { WritableFileSystem } from '../../src/fuse/protocol/filesystem.ts';
import { bytes, caller, FileSystemClient, refuses } from './file-system-client.ts';

/** What every WritableFileSystem must do with names and nodes. */
export function describeNames(make: () => WritableFileSystem): void {
  let files: WritableFileSystem;
  let client: FileSystemClient;
  beforeEach(() => {
    files = make();
    client = new FileSystemClient(files);
  });

  test('makes files, directories and links of the caller', () => {
    const made = files.create(1, bytes('f\xff'), 0o4640, caller);
    expect(made).toMatchObject({ mode: 0o104640, size: 0, blocks: 0, links: 1, ...caller });
    expect(files.lookup(1, bytes('f\xff'))).toEqual(made);
    expect(files.getattr(made.node)).toEqual(made);
    expect(files.mkdir(1, bytes('d'), 0o1755, caller)).toMatchObject({ mode: 0o041755, ...caller });
    const link = files.symlink(1, bytes('l'), bytes('/a/\xfe'), caller);
    expect(link).toMatchObject({ mode: 0o120777, size: 4, links: 1, ...caller });
    expect(Buffer.from(files.readlink(link.node)).toString('latin1')).toBe('/a/\xfe');
    refuses('EEXIST', () => files.create(1, bytes('d'), 0o644, caller));
    refuses('EEXIST', () => files.mkdir(1, bytes('l'), 0o755, caller));
    refuses('EEXIST', () => files.symlink(1, bytes('l'), bytes('x'), caller));
    refuses('ENOTDIR', () => client.create('x', made.node));
    refuses('ENOENT', () => client.create('x', 999_999));
  });

  test('makes FIFOs and sockets, which hold nothing and have names like files', () => {
    for (const [type, bits] of [
      ['fifo', 0o010000],
      ['socket', 0o140000],
    ] as const) {
      const { node } = files.mknod(1, bytes(type), type, 0o2620, caller);
      expect(files.getattr(node)).toMatchObject({ mode: bits | 0o2620, size: 0, blocks: 0, links: 1, ...caller });
      refuses('EEXIST', () => files.mknod(1, bytes(type), type, 0o600, caller));
      refuses('ENOTDIR', () => files.mknod(node, bytes('x'), type, 0o600, caller));
      refuses('EINVAL', () => files.setattr(node, { size: 0 }));
      refuses('EINVAL', () => client.read(node));
      refuses('EINVAL', () => client.write(node, 0, bytes('x')));
      refuses('EINVAL', () => files.allocate(node, 0, 1, 'extend', false));
      files.link(node, 1, bytes('other'));
      files.rename(1, bytes('other'), 1, bytes('moved'), 'no-replace');
      expect(files.setattr(node, { mode: 0o600 })).toMatchObject({ mode: bits | 0o600, links: 2 });
      files.unlink(1, bytes('moved'));
      files.unlink(1, bytes(type));
      refuses('ENOENT', () => files.getattr(node));
    }
  });

  test('keeps bytes it was given, not the memory they were in', () => {
    const [name, target, value] = [bytes('l'), bytes('target'), bytes('value')];
    const { node } = files.symlink(1, name, target, caller);
    files.setxattr(1, bytes('user.a'), value, 'any');
    for (const given of [name, target, value]) given.fill(0);
    expect([client.nodeOf('l'), Buffer.from(files.readlink(node)).toString()]).toEqual([node, 'target']);
    expect(Buffer.from(files.getxattr(1, bytes('user.a'))).toString()).toBe('value');
  });

  test('lets the group of a directory with set-group-id be inherited', () => {
    const directory = client.mkdir('d');
    files.setattr(directory, { mode: 0o2775, gid: 77 });
    expect(files.create(directory, bytes('f'), 0o644, caller)).toMatchObject({ uid: 1000, gid: 77, mode: 0o100644 });
    expect(files.mkdir(directory, bytes('e'), 0o700, caller)).toMatchObject({ uid: 1000, gid: 77, mode: 0o042700 });
    expect(files.symlink(directory, bytes('l'), bytes('x'), caller).gid).toBe(77);
  });

  test('links and unlinks', () => {
    const file = client.create('a');
    const directory = client.mkdir('d');
    expect(files.link(file, directory, bytes('b'))).toMatchObject({ node: file, links: 2 });
    refuses('EEXIST', () => files.link(file, directory, bytes('b')));
    refuses('EPERM', () => files.link(directory, 1, bytes('e')));
    refuses('ENOTEMPTY', () => files.rmdir(1, bytes('d')));
    refuses('EISDIR', () => files.unlink(1, bytes('d')));
    refuses('ENOTDIR', () => files.rmdir(1, bytes('a')));
    files.unlink(1, bytes('a'));
    refuses('ENOENT', () => client.nodeOf('a'));
    expect(files.getattr(file).links).toBe(1);
    files.unlink(directory, bytes('b'));
    files.rmdir(1, bytes('d'));
    for (const gone of [file, directory]) refuses('ENOENT', () => files.getattr(gone));
    refuses('ENOENT', () => files.unlink(1, bytes('a')));
    refuses('ENOENT', () => files.rmdir(1, bytes('d')));
  });

  test('keeps what the kernel remembers, with a name or without', () => {
    const file = client.create('a');
    const directory = client.mkdir('d');
    for (const node of [file, file, directory]) files.addLookup(node);
    files.unlink(1, bytes('a'));
    files.rmdir(1, bytes('d'));
    expect(files.getattr(file).links).toBe(0);
    client.write(file, 10, bytes('data'));
    files.setattr(file, { size: 12, mode: 0o600 });
    files.flush(file);
    files.sync(file);
    expect(client.text(file)).toBe(`${'\0'.repeat(10)}da`);
    refuses('ENOENT', () => client.create('x', directory));
    expect(client.listed(directory).slice(2)).toEqual([]);
    files.forget(file, 1);
    expect(files.getattr(file).size).toBe(12);
    files.forget(file, 1);
    refuses('ENOENT', () => files.getattr(file));
    files.forget(directory, 1000);
    refuses('ENOENT', () => files.getattr(directory));
    // No number is given twice, and what has a name is not forgotten.
    const later = client.create('a');
    expect([file, directory]).not.toContain(later);
    for (const node of [later, 1, 999_999]) files.forget(node, 5);
    expect(client.nodeOf('a')).toBe(later);
  });

  test('renames', () => {
    const [a, b, d] = [client.create('a'), client.create('b'), client.mkdir('d')];
    const rename = (name: string, to: string, how: 'replace' | 'no-replace' | 'exchange' = 'replace', into = 1) =>
      files.rename(1, bytes(name), into, bytes(to), how);
    refuses('EEXIST', () => rename('a', 'b', 'no-replace'));
    refuses('ENOENT', () => rename('a', 'none', 'exchange'));
    refuses('ENOENT', () => rename('none', 'a'));
    refuses('EISDIR', () => rename('a', 'd'));
    refuses('ENOTDIR', () => rename('d', 'a'));
    refuses('EINVAL', () => rename('d', 'x', 'replace', d));
    rename('a', 'b', 'exchange');
    expect([client.nodeOf('a'), client.nodeOf('b')]).toEqual([b, a]);
    rename('a', 'c', 'no-replace', d);
    refuses('ENOENT', () => client.nodeOf('a'));
    expect(client.nodeOf('c', d)).toBe(b);
    client.mkdir('e');
    refuses('ENOTEMPTY', () => rename('e', 'd'));
    rename('d', 'e');
    expect([client.nodeOf('e'), client.nodeOf('c', d)]).toEqual([d, b]);
    rename('e', 'b', 'exchange');
    expect([client.nodeOf('b'), client.nodeOf('e')]).toEqual([d, a]);
    const inner = client.mkdir('inner', d);
    const far = client.mkdir('far');
    files.rename(d, bytes('inner'), far, bytes('moved'), 'replace');
    expect(files.entryAfter(inner, 1)?.attributes.node).toBe(far);
    files.link(a, far, bytes('a'));
    files.rename(far, bytes('a'), 1, bytes('e'), 'replace');
    expect([client.nodeOf('a', far), client.nodeOf('e'), files.getattr(a).links]).toEqual([a, a, 2]);
  });

  test('replacing takes a name from a node, which lives while it is remembered', () => {
    const [a, b] = [client.create('a'), client.create('b')];
    client.write(b, 0, bytes('old'));
    files.addLookup(b);
    files.rename(1, bytes('a'), 1, bytes('b'), 'replace');
    expect([client.nodeOf('b'), files.getattr(b).links, client.text(b)]).toEqual([a, 0, 'old']);
    files.forget(b, 1);
    refuses('ENOENT', () => files.getattr(b));
  });

  test('lists a directory that changes: what stays once, what is new not at all', () => {
    const directory = client.mkdir('d');
    const names = Array.from({ length: 50 }, (_, at) => `n${at}`);
    for (const name of names) client.create(name, directory);
    const order = client.listed(directory);
    expect([order.slice(0, 2), order.slice(2).sort()]).toEqual([['.', '..'], [...names].sort()]);
    expect([files.entryAfter(directory, 0)?.cookie, files.entryAfter(directory, 1)?.cookie]).toEqual([1, 2]);
    const cookies = client.cookies(directory);
    for (const dots of ['.', '..']) cookies.delete(dots);
    expect(new Set(cookies.values()).size).toBe(50);
    expect(Math.min(...cookies.values())).toBeGreaterThan(2);
    for (const name of names.filter((_, at) => at % 3 === 0)) files.unlink(directory, bytes(name));
    for (const name of ['n1', 'n4']) files.rename(directory, bytes(name), directory, bytes(`${name}.new`), 'replace');
    files.rename(1, bytes('d'), 1, bytes('e'), 'replace');
    client.create('x');
    files.rename(1, bytes('x'), directory, bytes('n7'), 'replace');
    client.create('added', directory);
    const gone = new Set([...names.filter((_, at) => at % 3 === 0), 'n1', 'n4']);
    // From every cookie, also of what is gone: just what came after it and stayed.
    for (const [name, cookie] of cookies) {
      const behind = order.slice(order.indexOf(name) + 1).filter((other) => !gone.has(other));
      expect(client.listed(directory, cookie)).toEqual(behind);
      if (!gone.has(name)) expect(client.cookies(directory).get(name)).toBe(cookie);
    }
    expect(client.listed(directory).slice(2).sort()).toEqual(
      [...names.filter((name) => !gone.has(name)), 'added', 'n1.new', 'n4.new'].sort(),
    );
    refuses('ENOTDIR', () => files.entryAfter(client.create('f'), 0));
  });
}
