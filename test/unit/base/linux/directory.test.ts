import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Directory } from '../../../../src/base/linux/directory.ts';

let place: string;
let directory: Directory;

beforeEach(() => {
  place = fs.realpathSync(fs.mkdtempSync(join(tmpdir(), 'ckptfs-directory-')));
  fs.mkdirSync(join(place, 'a'));
  directory = Directory.open(join(place, 'a'));
});

afterEach(() => {
  directory.close();
  fs.rmSync(place, { recursive: true, force: true });
});

describe('a held directory', () => {
  test('stays the same one when it is moved away and another is put in its place', () => {
    fs.renameSync(join(place, 'a'), join(place, 'b'));
    fs.mkdirSync(join(place, 'a'));
    fs.closeSync(directory.openFile('new', fs.constants.O_CREAT | fs.constants.O_WRONLY));
    directory.mkdir('below');
    expect(fs.readdirSync(join(place, 'b')).sort()).toEqual(['below', 'new']);
    expect(fs.readdirSync(join(place, 'a'))).toEqual([]);
    expect(directory.path()).toBe(join(place, 'b'));
    fs.renameSync(join(place, 'b'), join(place, 'c'));
    expect(directory.path()).toBe(join(place, 'c'));
  });

  test('says that it was removed, and is not misled by a name that looks so', () => {
    fs.renameSync(join(place, 'a'), join(place, 'a (deleted)'));
    expect(directory.path()).toBe(join(place, 'a (deleted)'));
    fs.rmdirSync(join(place, 'a (deleted)'));
    expect(directory.path()).toBe(`${join(place, 'a (deleted)')} (removed)`);
  });

  test('is shown as its user wrote it, unless that leads elsewhere by now', () => {
    const relative = Directory.open(join(place, 'a', '..', 'a'));
    expect(relative.path()).toBe(join(place, 'a', '..', 'a'));
    fs.symlinkSync('a', join(place, 'link'));
    const linked = Directory.open(join(place, 'link'));
    expect(linked.path()).toBe(join(place, 'a'));
    fs.renameSync(join(place, 'a'), join(place, 'b'));
    const again = relative.reopen();
    expect([relative, linked, again].map((held) => held.path())).toEqual(new Array(3).fill(join(place, 'b')));
    expect(again.fd).not.toBe(relative.fd);
    for (const held of [relative, linked, again]) held.close();
  });

  test('is opened through a link of the user, unless told not to', () => {
    fs.symlinkSync('a', join(place, 'link'));
    const followed = Directory.open(join(place, 'link'));
    expect(followed.path()).toBe(join(place, 'a'));
    followed.close();
    expect(() => Directory.open(join(place, 'link'), { follow: false })).toThrow(/ENOTDIR|ELOOP/);
  });

  test('goes deeper than PATH_MAX', () => {
    const name = 'x'.repeat(255);
    let level = directory;
    const levels: Directory[] = [];
    for (let depth = 0; depth < 20; depth++) {
      level.mkdir(name);
      level = level.openDirectory(name);
      levels.push(level);
    }
    fs.closeSync(level.openFile('deep', fs.constants.O_CREAT | fs.constants.O_WRONLY));
    expect(level.names().map(String)).toEqual(['deep']);
    level.utimes('deep', { seconds: 1, nanoseconds: 2 }, { seconds: 3, nanoseconds: 4 });
    expect(level.lstat('deep')?.mtimeNs).toBe(3_000_000_004n);
    level.chmod('deep', 0o640);
    level.setXattr('deep', Buffer.from('user.a'), Buffer.from('1'));
    expect(level.getXattr('deep', Buffer.from('user.a')).toString()).toBe('1');
    level.unlink('deep');
    // Nothing else here can remove what is so deep.
    for (const below of levels.reverse()) {
      for (const empty of below.names()) below.rmdir(empty);
      below.close();
    }
    directory.rmdir(name);
  });
});

describe('its entries', () => {
  test.each(['..', '.', '', 'a/b', '/', 'a\0b'])('%j is not the name of one', (name) => {
    const calls = [
      () => directory.openDirectory(name),
      () => directory.openDirectory(name, { sameMount: true }),
      () => directory.openFile(name, fs.constants.O_RDONLY),
      () => directory.lstat(name),
      () => directory.mkdir(name),
      () => directory.mknod(name, 'fifo'),
      () => directory.unlink(name),
      () => directory.rmdir(name),
      () => directory.rename(name, 'b'),
      () => directory.rename('b', name),
      () => directory.link(name, 'b'),
      () => directory.link('b', name),
      () => directory.symlink('b', name),
      () => directory.readlink(name),
    ];
    for (const call of calls) expect(call).toThrow('EINVAL');
  });

  test.each(['..', '', 'a/b', '/', 'a\0b'])('%j names neither one nor the directory itself', (name) => {
    const time = { seconds: 1, nanoseconds: 0 };
    const before = fs.statSync(place);
    const calls = [
      () => directory.chmod(name, 0o777),
      () => directory.chown(name, 1, 1),
      () => directory.utimes(name, time, time),
      () => directory.listXattrs(name),
      () => directory.getXattr(name, Buffer.from('user.a')),
      () => directory.setXattr(name, Buffer.from('user.a'), Buffer.from('1')),
    ];
    for (const call of calls) expect(call).toThrow('EINVAL');
    expect(fs.statSync(place)).toMatchObject({ mode: before.mode, uid: before.uid, mtimeMs: before.mtimeMs });
  });

  test('are not reached through a symbolic link', () => {
    fs.mkdirSync(join(place, 'other'));
    fs.writeFileSync(join(place, 'other', 'precious'), 'x');
    directory.symlink('../other', 'directory');
    directory.symlink('../other/precious', 'file');
    expect(() => directory.openDirectory('directory')).toThrow('ENOTDIR');
    expect(() => directory.openDirectory('directory', { sameMount: true })).toThrow('ENOTDIR');
    expect(() => directory.openFile('file', fs.constants.O_RDWR)).toThrow('ELOOP');
    expect(directory.lstat('file')?.isSymbolicLink()).toBe(true);
    expect(() => directory.chmod('file', 0o777)).toThrow('ENOTSUP');
    expect(directory.readlink('file').toString()).toBe('../other/precious');
    directory.utimes('file', { seconds: 1, nanoseconds: 0 }, { seconds: 1, nanoseconds: 0 });
    directory.unlink('file');
    expect(fs.readFileSync(join(place, 'other', 'precious'), 'utf8')).toBe('x');
  });

  test('that are no files neither block nor pass for directories', () => {
    execFileSync('mkfifo', [join(place, 'a', 'fifo')]);
    const fd = directory.openFile('fifo', fs.constants.O_RDONLY);
    expect(fs.fstatSync(fd).isFIFO()).toBe(true);
    fs.closeSync(fd);
    expect(() => directory.openFile('fifo', fs.constants.O_WRONLY)).toThrow('ENXIO');
    expect(() => directory.openDirectory('fifo')).toThrow('ENOTDIR');
  });

  test('directories on the same mount are no mount points', () => {
    directory.mkdir('d');
    const inner = directory.openDirectory('d', { sameMount: true });
    expect(inner.stat().ino).toBe(directory.lstat('d')?.ino);
    inner.close();
  });

  test('the kernel tells a mount point', () => {
    const root = Directory.open('/');
    expect(() => root.openDirectory('proc', { sameMount: true })).toThrow('EXDEV');
    root.openDirectory('proc').close();
    root.close();
  });

  test('keep names that are no UTF-8, and many of them', () => {
    const odd = Buffer.from([0xff, 0x41]);
    directory.mkdir(odd);
    for (let index = 0; index < 2000; index++) directory.symlink('x', `${index}`.padStart(40, 'n'));
    const names = directory.names();
    expect(names).toHaveLength(2001);
    expect(names.some((name) => name.equals(odd))).toBe(true);
    directory.rmdir(odd);
    expect(directory.lstat(odd)).toBeUndefined();
  });

  test('are renamed and linked, also from one directory to another', () => {
    directory.mkdir('to');
    const to = directory.openDirectory('to');
    const { O_CREAT, O_WRONLY } = fs.constants;
    for (const name of ['one', 'two']) fs.closeSync(directory.openFile(name, O_CREAT | O_WRONLY));
    expect(() => directory.rename('one', 'two', { replace: false })).toThrow('EEXIST');
    directory.rename('one', 'two');
    directory.link('two', 'again', to);
    expect(() => directory.link('two', 'again', to)).toThrow('EEXIST');
    directory.rename('two', 'moved', { to });
    expect(to.names().map(String).sort()).toEqual(['again', 'moved']);
    expect(to.lstat('again')?.ino).toBe(to.lstat('moved')?.ino);
    to.close();
  });

  test('get modes, owners, times and attributes, as the directory itself does', () => {
    directory.mkdir('d', 0o700);
    for (const name of ['d', '.']) {
      directory.chmod(name, 0o2750);
      directory.chown(name, process.getuid?.() ?? 0, process.getgid?.() ?? 0);
      directory.utimes(name, { seconds: -5, nanoseconds: 1 }, { seconds: 7, nanoseconds: 999_999_999 });
      directory.setXattr(name, Buffer.from('user.x'), Buffer.from('value'));
      expect(directory.listXattrs(name).map(String)).toContain('user.x');
    }
    const found = directory.lstat('d');
    expect([Number(found?.mode) & 0o7777, found?.mtimeNs]).toEqual([0o2750, 7_999_999_999n]);
    expect(directory.stat().mtimeNs).toBe(7_999_999_999n);
    directory.sync();
  });

  test('room of the file system is what statfs says', () => {
    const { bsize, blocks } = fs.statfsSync(join(place, 'a'));
    expect(directory.space()).toMatchObject({ blockSize: bsize, blocks });
  });
});
