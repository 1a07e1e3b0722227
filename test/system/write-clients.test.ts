// Goal: common tools keep their files on a writable mount as on any file system.
// Method: tar, rsync, cp, git, SQLite and fio work on a real mount, and again after the image was sealed.
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect } from 'vitest';
import { WritableMount } from '../support/writable-mount.ts';
import { storedBytes } from './support/images.ts';
import { runProgram } from './support/programs.ts';
import { describeIf, systemTest } from './support/requirements.ts';
import { compareTrees, describeTree, makeTree } from './support/tree.ts';

const MIB = 1 << 20;
/** In the trees that are copied. */
const FILES = 500;

let base: string;
let mount: WritableMount;
const at = (...names: string[]): string => join(base, ...names);
const inMount = (...names: string[]): string => join(mount.mountPoint, ...names);

beforeEach(() => {
  base = fs.realpathSync(fs.mkdtempSync(join(tmpdir(), 'ckptfs-clients-')));
  mount = new WritableMount(base);
  mount.mount();
});
afterEach(() => {
  mount.discard();
  fs.rmSync(base, { recursive: true });
});

/** Seals the image and mounts it to be written again: what is read then comes from the store. */
function remount(): void {
  mount.unmount();
  mount.run('verify');
  mount.mount();
}

/** Runs a line of shell in a directory. @throws Error with its output where it fails */
function shell(directory: string, line: string): string {
  return runProgram('bash', '-euc', `cd "$1"; ${line}`, 'bash', directory);
}

describeIf(['root', 'fuse'], 'on a mount that can be written', () => {
  systemTest(['tar'], 'tar unpacks a tree with all it has, and packs it again', () => {
    makeTree(at('source'), FILES);
    // tar packs no sockets, and each name of a FIFO as one of its own.
    for (const name of ['a.socket', 'again.fifo']) fs.rmSync(at('source', 'plain', name));
    const options = '--xattrs --sparse --format=posix --numeric-owner --sort=name --same-owner --same-permissions';
    shell(base, `tar ${options} -cf one.tar -C source . && tar ${options} -xf one.tar -C mnt`);
    const expected = describeTree(at('source'));
    expect(describeTree(mount.mountPoint)).toEqual(expected);
    remount();
    expect(describeTree(mount.mountPoint)).toEqual(expected);
    shell(base, `mkdir again && tar ${options} -cf two.tar -C mnt . && tar ${options} -xf two.tar -C again`);
    compareTrees(at('source'), at('again'));
  });

  systemTest(['rsync'], 'rsync copies a tree once, and finds nothing to do the second time', () => {
    makeTree(at('source'), FILES);
    const copy = (): string =>
      runProgram('rsync', '-aHX', '--sparse', '--itemize-changes', '--delete', `${at('source')}/`, mount.mountPoint);
    expect(copy().split('\n').length).toBeGreaterThan(FILES);
    expect(copy()).toBe('');
    remount();
    expect(copy()).toBe('');
    expect(
      runProgram('rsync', '-aHXc', '--dry-run', '--itemize-changes', '--delete', `${at('source')}/`, mount.mountPoint),
    ).toBe('');
    fs.appendFileSync(at('source', 'plain', 'pages-1.img'), 'more');
    expect(copy()).toMatch(/^>f\S+ plain\/pages-1\.img\n/);
    compareTrees(at('source'), mount.mountPoint);
  });

  systemTest([], 'cp keeps holes, makes them, and copies from file to file', () => {
    const fd = fs.openSync(at('sparse'), 'w');
    for (const offset of [3 * MIB, 50 * MIB]) fs.writeSync(fd, Buffer.alloc(10_000, 'data'), 0, 10_000, offset);
    fs.ftruncateSync(fd, 100 * MIB);
    fs.closeSync(fd);
    shell(
      base,
      'cp --sparse=always sparse mnt/always; cp --sparse=never sparse mnt/never; cp mnt/always mnt/copy; cp --reflink=auto mnt/never mnt/auto',
    );
    for (const name of ['always', 'never', 'copy', 'auto']) runProgram('cmp', at('sparse'), inMount(name));
    expect(fs.statSync(inMount('always')).blocks * 512).toBeLessThan(64 << 10);
    expect(fs.statSync(inMount('copy')).blocks * 512).toBeLessThan(64 << 10);
    mount.unmount();
    mount.run('verify');
    mount.mount();
    for (const name of ['always', 'never', 'copy', 'auto']) runProgram('cmp', at('sparse'), inMount(name));
    fs.rmSync(inMount('never'));
    fs.rmSync(inMount('auto'));
    mount.unmount();
    expect(storedBytes(mount.image)).toBeLessThan(MIB);
  });

  systemTest(['git'], 'git clones, commits, packs and finds nothing wrong', () => {
    const quiet = 'git -c user.name=x -c user.email=x@example.org -c init.defaultBranch=main';
    shell(
      base,
      `mkdir origin; cd origin; ${quiet} init -q
       for i in $(seq 40); do for j in $(seq 10); do echo "$i $j $RANDOM" >> "file-$j"; done; ${quiet} add -A; ${quiet} commit -qm "$i"; done`,
    );
    shell(mount.mountPoint, `git clone -q file://${at('origin')} clone; cd clone; git fsck --strict --full`);
    shell(
      inMount('clone'),
      `for i in $(seq 10); do echo "$i" > "new-$i"; ${quiet} add -A; ${quiet} commit -qm "new $i"; done; git gc -q --aggressive --prune=now; git fsck --strict --full`,
    );
    remount();
    expect(shell(inMount('clone'), 'git fsck --strict --full; git status --porcelain; git rev-list --count HEAD')).toBe(
      '50\n',
    );
  });

  systemTest(['python'], 'SQLite finds its database whole, in both of its modes', () => {
    const modes = ['delete', 'wal'];
    const sqlite = (mode: string, ...statements: readonly string[]): string => {
      const program = `import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
for statement in sys.argv[2:]: print(db.execute(statement).fetchall())`;
      return runProgram('/usr/bin/python3', '-c', program, inMount(`${mode}.db`), ...statements);
    };
    const numbers = 'with recursive c(n) as (select 1 union all select n + 1 from c where n < 3000)';
    for (const mode of modes) {
      sqlite(
        mode,
        `pragma journal_mode=${mode}`,
        'create table t (n integer primary key, data blob)',
        `insert into t ${numbers} select n, randomblob(n % 700) from c`,
        'create index i on t (data)',
        'delete from t where n % 3 = 0',
        'update t set data = zeroblob(2000) where n % 7 = 0',
        'vacuum',
        'begin',
        'delete from t',
        'rollback',
      );
    }
    const look = (mode: string): string =>
      sqlite(mode, 'pragma integrity_check', 'select count(*), sum(length(data)) from t');
    const before = modes.map(look);
    for (const said of before) expect(said).toMatch(/^\[\('ok',\)\]\n\[\(2000, \d+\)\]\n$/);
    remount();
    expect(modes.map(look)).toEqual(before);
  });

  const fioJobs = {
    'in-sequence': 'rw=write bs=64k size=10M ioengine=psync',
    'past-the-cache': 'rw=write bs=1M size=20M ioengine=libaio iodepth=4 direct=1',
    'at-random': 'rw=randwrite bs=3k size=6M ioengine=psync fsync=100',
    'random-past-the-cache': 'rw=randwrite bs=4k size=6M ioengine=libaio iodepth=8 direct=1',
    mapped: 'rw=randwrite bs=4k size=6M ioengine=mmap',
    'in-odd-blocks': 'rw=write bs=7k size=6M ioengine=sync end_fsync=1',
  };
  systemTest(['fio'], 'fio finds what it wrote', () => {
    const jobs = Object.entries(fioJobs).map(
      ([name, options]) => `[${name}]\nstonewall\n${options.replaceAll(' ', '\n')}\n`,
    );
    const common = `[global]\ndirectory=${mount.mountPoint}\nverify=crc32c\nverify_fatal=1\nrandseed=1\n`;
    fs.writeFileSync(at('jobs'), common + jobs.join(''));
    runProgram('fio', `--aux-path=${base}`, at('jobs'));
    remount();
    expect(
      runProgram('fio', '--output-format=terse', `--aux-path=${base}`, at('jobs'), '--verify_only=1').split('\n')
        .length,
    ).toBeGreaterThan(jobs.length);
  });
});
