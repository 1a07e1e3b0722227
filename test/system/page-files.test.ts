// Goal: files are read past the page cache exactly where --page-files says so, with the same bytes either way.
// Method: real programs read a mounted image; fincore(1) says what of a file the page cache has then.
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { ckptfs, runCkptfs } from './support/ckptfs.ts';
import { clear, type Encrypted, encryptInto, mountNew, mountOn, statusOf } from './support/mounts.ts';
import { runProgram } from './support/programs.ts';
import { describeIf, findProgram, systemTest } from './support/requirements.ts';

const contents = { 'pages-1.img': randomBytes((6 << 20) + 12_345), 'core-1.img': randomBytes(100_000) };
type Name = keyof typeof contents;

/** Maps a file and prints the digest of its bytes. The argument after the file is the name of a flag of mmap(2). */
const MAP = `
import hashlib, mmap, sys
with open(sys.argv[1], 'rb') as file:
    print(hashlib.sha256(mmap.mmap(file.fileno(), 0, getattr(mmap, sys.argv[2]), mmap.PROT_READ)).hexdigest())
`;

/** Writes to a file that it has made, after another descriptor has read and mapped what was there. */
const REWRITE = `
import mmap, os, sys
direct = os.open(sys.argv[1], os.O_CREAT | os.O_EXCL | os.O_RDWR)
os.write(direct, b'old' * 4096)
other = os.open(sys.argv[1], os.O_RDONLY)
mapped = mmap.mmap(other, 0, mmap.MAP_SHARED, mmap.PROT_READ)
assert os.pread(other, 3, 3000) == mapped[3000:3003] == b'old'
os.pwrite(direct, b'new', 3000)
print(os.pread(other, 3, 3000).decode(), mapped[3000:3003].decode())
`;

describeIf(['root', 'fuse'], 'page files', () => {
  const base = fs.realpathSync(fs.mkdtempSync(join(tmpdir(), 'ckptfs-page-files-')));
  const mountPoint = join(base, 'mnt');
  /** A dd that threads of criu cannot be told from. */
  const criuDd = join(base, 'criu-dd');
  let encrypted: Encrypted;

  beforeAll(() => {
    fs.mkdirSync(join(base, 'source'));
    for (const [name, bytes] of Object.entries(contents)) fs.writeFileSync(join(base, 'source', name), bytes);
    encrypted = encryptInto(base, join(base, 'source'));
    fs.copyFileSync(findProgram('dd') ?? '', criuDd);
    fs.chmodSync(criuDd, 0o755);
  });
  afterEach(() => clear(mountPoint));
  afterAll(() => fs.rmSync(base, { recursive: true }));

  /** Copies a file out of the mount, checks the copy, and returns how many bytes of the file the page cache has. */
  function read(name: Name, program = 'dd', ...options: readonly string[]): number {
    const [file, copy] = [join(mountPoint, name), join(base, 'copy')];
    runProgram(program, `if=${file}`, `of=${copy}`, 'status=none', ...options);
    expect(fs.readFileSync(copy).equals(contents[name])).toBe(true);
    return Number(runProgram('fincore', '--bytes', '--noheadings', '--output', 'RES', file));
  }

  function opens(): number {
    return statusOf(mountPoint)?.daemon?.counters.requests ?? 0;
  }

  test('auto: large files are read directly by criu, and by others through the cache', () => {
    mountOn(mountPoint, encrypted);
    expect(statusOf(mountPoint)?.daemon?.options.pageFiles).toBe('auto');
    expect(read('pages-1.img', criuDd, 'bs=1M')).toBe(0);
    expect(read('core-1.img', criuDd)).toBeGreaterThan(0);
    expect(read('pages-1.img', 'dd', 'bs=10k')).toBeGreaterThan(contents['pages-1.img'].length / 2);
  });

  test('direct: every program reads large files directly, in steps of any size', () => {
    mountOn(mountPoint, encrypted, '--page-files', 'direct');
    for (const step of ['bs=1M', 'bs=10k', 'bs=300001', 'bs=8M']) expect(read('pages-1.img', 'dd', step)).toBe(0);
    expect(read('core-1.img')).toBeGreaterThan(0);
  });

  test('cached, and a mount option: no file is read directly, and opening one is no request', () => {
    mountOn(mountPoint, encrypted, '-o', 'page_files=cached');
    expect(read('pages-1.img', criuDd)).toBeGreaterThan(contents['pages-1.img'].length / 2);
    const before = opens();
    for (let again = 0; again < 20; again++) fs.closeSync(fs.openSync(join(mountPoint, 'pages-1.img'), 'r'));
    expect(opens() - before).toBeLessThan(20);
  });

  test('a direct read leaves what others have in the page cache', () => {
    mountOn(mountPoint, encrypted);
    const whole = read('pages-1.img');
    expect(read('pages-1.img', criuDd, 'bs=1M')).toBe(whole);
  });

  test('O_DIRECT passes the cache by with every choice', () => {
    for (const choice of ['auto', 'direct', 'cached']) {
      mountOn(mountPoint, encrypted, '--page-files', choice);
      expect(read('pages-1.img', 'dd', 'iflag=direct', 'bs=4M')).toBe(0);
      clear(mountPoint);
    }
  });

  systemTest(['python'], 'a file that is read directly can be mapped', () => {
    mountOn(mountPoint, encrypted, '--page-files', 'direct');
    const file = join(mountPoint, 'pages-1.img');
    const digest = runProgram('sha256sum', join(base, 'source', 'pages-1.img')).slice(0, 64);
    for (const flag of ['MAP_PRIVATE', 'MAP_SHARED']) {
      expect(runProgram('python3', '-c', MAP, file, flag).trim()).toBe(digest);
    }
  });

  systemTest(['fio'], 'programs that ask for many reads at once get the right bytes', () => {
    // fio puts a checksum into each block that it writes, and compares it when it reads the block.
    const job = ['--name=job', '--bs=64k', '--size=6m', '--verify=crc32c', '--ioengine=libaio', '--iodepth=32'];
    const checked = join(base, 'checked');
    fs.mkdirSync(join(checked, 'source'), { recursive: true });
    const write = [
      '--rw=write',
      '--do_verify=0',
      '--verify_state_save=0',
      `--filename=${join(checked, 'source', 'pages-1.img')}`,
    ];
    runProgram('fio', ...job, ...write);
    mountOn(mountPoint, encryptInto(checked, join(checked, 'source')), '--page-files', 'direct');
    for (const direct of ['--direct=0', '--direct=1']) {
      const read = ['--rw=randread', '--readonly', direct, `--filename=${join(mountPoint, 'pages-1.img')}`];
      expect(runProgram('fio', ...job, ...read)).toMatch(/err= 0/);
    }
  });

  describe('while an image is written', () => {
    beforeEach(() => void fs.mkdirSync(join(base, 'new')));
    afterEach(() => {
      clear(mountPoint);
      fs.rmSync(join(base, 'new'), { recursive: true });
    });
    const cached = (file: string): number =>
      Number(runProgram('fincore', '--bytes', '--noheadings', '--output', 'RES', join(mountPoint, file)));

    test('criu writes its page images past the page cache, and others read what it wrote', () => {
      mountNew(join(base, 'new'), mountPoint);
      const copy = (program: string, name: string, ...options: readonly string[]): void => {
        runProgram(program, `if=${join(base, 'source/pages-1.img')}`, `of=${join(mountPoint, name)}`, ...options);
      };
      copy(criuDd, 'pages-1.img', 'bs=1M');
      copy(criuDd, 'pages-2.img', 'bs=300001');
      copy(criuDd, 'other.img', 'bs=1M');
      copy('dd', 'pages-3.img', 'bs=1M');
      expect(['pages-1.img', 'pages-2.img'].map(cached)).toEqual([0, 0]);
      expect(['other.img', 'pages-3.img'].map(cached).every((bytes) => bytes > 0)).toBe(true);
      for (const name of fs.readdirSync(mountPoint)) {
        expect(fs.readFileSync(join(mountPoint, name)).equals(contents['pages-1.img']), name).toBe(true);
      }
      ckptfs('umount', mountPoint);
    });

    systemTest(['python'], 'a page that another process has in the cache is not older than what was written', () => {
      mountNew(join(base, 'new'), mountPoint, '--page-files', 'direct');
      expect(runProgram('python3', '-c', REWRITE, join(mountPoint, 'pages-1.img')).trim()).toBe('new new');
      ckptfs('umount', mountPoint);
    });
  });

  test('an unknown choice is refused', () => {
    const { status, stderr } = runCkptfs('mount', encrypted.image, mountPoint, '--page-files', 'never');
    expect(status).toBe(2);
    expect(stderr).toContain('auto');
  });
});
