// Goal: a writable mount keeps what programs write, through kills, full disks and users of all kinds.
// Method: real programs and mounts; stores on small file systems; daemons that are killed.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect } from 'vitest';
import { endOf } from './support/children.ts';
import { ckptfs, runCkptfs } from './support/ckptfs.ts';
import {
  asNobody,
  built,
  ckptfsProgram,
  clear,
  type Encrypted,
  isAlive,
  logOf,
  type Mounted,
  mountNew,
  mountOn,
  start,
  until,
  withFuseForAll,
} from './support/mounts.ts';
import { openNamespace } from './support/namespace.ts';
import { PATIENCE } from './support/patience.ts';
import { checkWriting } from './support/pattern-mounts.ts';
import { runProgram } from './support/programs.ts';
import { describeIf, systemTest } from './support/requirements.ts';
import { compareTrees, describeTree, makeTree } from './support/tree.ts';

const MIB = 1 << 20;

let base: string;
let mountPoint: string;
const at = (name: string): string => join(base, name);
const inMount = (name: string): string => join(mountPoint, name);

beforeEach(() => {
  base = fs.realpathSync(fs.mkdtempSync(join(tmpdir(), 'ckptfs-write-')));
  fs.chmodSync(base, 0o755);
  mountPoint = at('mnt');
});

afterEach(() => {
  for (const path of [mountPoint, at('small'), at('home/mnt')]) clear(path);
  fs.rmSync(base, { recursive: true });
});

function faultsIn(mounted: Mounted): string[] {
  return logOf(mounted).filter((line) => !line.includes(': info: '));
}

function contentOf({ image, keyFile }: Encrypted, path: string): string {
  return runProgram(ckptfsProgram, 'cat', image, path, '--key-file', keyFile);
}

function verify({ image, keyFile }: Encrypted): void {
  ckptfs('verify', image, '--key-file', keyFile, '--quiet');
}

async function kill({ pid }: Mounted): Promise<void> {
  process.kill(pid, 'SIGKILL');
  await until('the daemon is dead', () => !isAlive(pid));
  clear(mountPoint);
}

const checks = {
  'write_checks.py': [
    'opening',
    'writing',
    'appending',
    'truncating',
    'mapping',
    'direct',
    'copying',
    'allocating',
    'unlinked',
    'forgotten',
    'locking',
  ],
  'name_checks.py': [
    'names',
    'missing_names',
    'renaming',
    'changing_listings',
    'seeking_listings',
    'attributes',
    'privileges',
    'permissions',
    'extended',
    'handles',
    'database',
  ],
  'twin_checks.py': ['twins'],
};

describeIf(['root', 'fuse', 'python'], 'programs on a writable mount', () => {
  for (const [file, names] of Object.entries(checks)) {
    systemTest([], `find what they would on any file system: ${file}`, () => {
      const [encrypted, mounted] = mountNew(base, mountPoint, '--allow-other');
      fs.chmodSync(mountPoint, 0o755);
      for (const name of names) {
        fs.mkdirSync(inMount(name));
        checkWriting(file, name, inMount(name));
        expect([name, faultsIn(mounted)]).toEqual([name, []]);
      }
      const before = describeTree(mountPoint);
      ckptfs('umount', mountPoint);
      expect(faultsIn(mounted)).toEqual([]);
      verify(encrypted);
      mountOn(mountPoint, encrypted);
      expect(describeTree(mountPoint)).toEqual(before);
      ckptfs('umount', mountPoint);
    });
  }
});

describeIf(['root', 'fuse'], 'a tree that is copied into a mount', () => {
  systemTest(
    [],
    'is the same in the mount, in a read-only mount, and decrypted; also when it is changed by a second writer',
    () => {
      const source = at('source');
      makeTree(source, 1000);
      const [encrypted] = mountNew(base, mountPoint);
      runProgram('cp', '-a', `${source}/.`, mountPoint);
      compareTrees(source, mountPoint);
      expect(describeTree(mountPoint)).toEqual(describeTree(source));
      ckptfs('umount', mountPoint);
      verify(encrypted);
      mountOn(mountPoint, encrypted);
      compareTrees(source, mountPoint);
      expect(describeTree(mountPoint)).toEqual(describeTree(source));
      ckptfs('umount', mountPoint);
      ckptfs('decrypt', encrypted.image, at('clear'), '--key-file', encrypted.keyFile);
      compareTrees(source, at('clear'));
      expect(describeTree(at('clear'))).toEqual(describeTree(source));

      mountOn(mountPoint, encrypted, '--write');
      for (const root of [source, mountPoint]) change(root);
      ckptfs('umount', mountPoint);
      verify(encrypted);
      ckptfs('decrypt', encrypted.image, at('changed'), '--key-file', encrypted.keyFile);
      compareTrees(source, at('changed'));
    },
  );

  systemTest([], 'that encrypt made can be written on', () => {
    fs.mkdirSync(at('source'));
    for (let i = 0; i < 50; i++) fs.writeFileSync(at(`source/small-${i}`), `content ${i}`.repeat(i));
    fs.writeFileSync(at('source/large'), Buffer.alloc(3 * MIB, 'large'));
    const encrypted = { source: at('source'), image: at('enc'), keyFile: at('key') };
    ckptfs('keygen', '-o', encrypted.keyFile);
    ckptfs('encrypt', encrypted.source, encrypted.image, '--key-file', encrypted.keyFile, '--quiet');
    mountOn(mountPoint, encrypted, '--write');
    for (const root of [encrypted.source, mountPoint]) {
      fs.appendFileSync(join(root, 'small-7'), 'more');
      fs.rmSync(join(root, 'small-8'));
      fs.truncateSync(join(root, 'small-30'), 5);
      const fd = fs.openSync(join(root, 'large'), 'r+');
      fs.writeSync(fd, 'changed', 1_234_567);
      fs.closeSync(fd);
    }
    ckptfs('umount', mountPoint);
    verify(encrypted);
    ckptfs('decrypt', encrypted.image, at('clear'), '--key-file', encrypted.keyFile);
    runProgram('diff', '--recursive', encrypted.source, at('clear'));
  });
});

function change(root: string): void {
  const path = (...names: string[]): string => join(root, ...names);
  const fd = fs.openSync(path('plain', 'pages-1.img'), 'r+');
  for (const offset of [0, 100_000, 5 * MIB + 3]) fs.writeSync(fd, Buffer.alloc(20_000, 'x'), 0, 20_000, offset);
  fs.ftruncateSync(fd, 8 * MIB + 1);
  fs.closeSync(fd);
  fs.rmSync(path('plain', 'twin'));
  fs.renameSync(path('plain', 'many'), path('odd', 'moved'));
  for (let i = 0; i < 100; i++) fs.rmSync(path('odd', 'moved', `core-${i * 7}.img`));
  for (let i = 0; i < 100; i++) fs.appendFileSync(path('odd', 'moved', `core-${i * 7 + 1}.img`), 'more');
  fs.rmSync(path('odd', 'sparse'));
  fs.rmSync(path('plain', 'again.fifo'));
  fs.renameSync(path('plain', 'a.socket'), path('odd', 'moved.socket'));
  fs.chmodSync(path('odd', 'moved.socket'), 0o600);
  fs.mkdirSync(path('plain', 'empty', 'new'));
  fs.writeFileSync(path('plain', 'empty', 'new', 'file'), Buffer.alloc(100_000, 'new'));
}

describeIf(['root', 'fuse'], 'when its daemon is killed', () => {
  systemTest([], 'what was closed, renamed and made is there, and the writer can go on', async () => {
    const [encrypted, first] = mountNew(base, mountPoint);
    const data = Buffer.alloc(MIB + 77, 'pages');
    fs.writeFileSync(inMount('closed'), data);
    fs.mkdirSync(inMount('d'));
    fs.writeFileSync(inMount('draft'), 'draft');
    fs.renameSync(inMount('draft'), inMount('d/final'));
    fs.writeFileSync(inMount('removed'), 'x');
    fs.rmSync(inMount('removed'));
    const open = fs.openSync(inMount('open'), 'w');
    fs.writeSync(open, 'not closed');
    await kill(first);
    expect(() => fs.closeSync(open)).toThrow(expect.objectContaining({ code: 'ENOTCONN' }));

    const second = mountOn(mountPoint, encrypted, '--write');
    expect(fs.readdirSync(mountPoint).sort()).toEqual(['closed', 'd', 'open']);
    expect(fs.readFileSync(inMount('closed')).equals(data)).toBe(true);
    expect(fs.readFileSync(inMount('d/final'), 'utf8')).toBe('draft');
    expect('not closed'.startsWith(fs.readFileSync(inMount('open'), 'utf8'))).toBe(true);
    fs.appendFileSync(inMount('d/final'), ' two');
    await kill(second);

    ckptfs('seal', encrypted.image, '--key-file', encrypted.keyFile);
    verify(encrypted);
    expect(contentOf(encrypted, 'd/final')).toBe('draft two');
    expect(contentOf(encrypted, 'closed')).toBe(data.toString());
  });

  systemTest([], 'seal says what was open, what is empty, and that a dump is not complete', async () => {
    const [encrypted, mounted] = mountNew(base, mountPoint);
    const image = fs.openSync(inMount('pages-1.img'), 'w');
    fs.writeSync(image, Buffer.alloc(100_000, 'pages'));
    const empty = fs.openSync(inMount('core-1.img'), 'w');
    fs.writeFileSync(inMount('closed'), 'closed');
    fs.writeFileSync(inMount('closed and empty'), '');
    await kill(mounted);
    for (const fd of [image, empty]) expect(() => fs.closeSync(fd)).toThrow();
    clear(mountPoint);
    const sealed = runCkptfs('seal', encrypted.image, '--key-file', encrypted.keyFile, '--json');
    const warnings = [
      'open when the writer ended, so what was written last may be missing: "pages-1.img"',
      'open when the writer ended, and empty: "core-1.img"',
      'the image looks like a CRIU dump without its inventory.img: the dump is not complete',
    ];
    expect(sealed).toMatchObject({
      status: 0,
      stderr: warnings.map((message) => `${JSON.stringify({ warning: { message } })}\n`).join(''),
    });
    expect(JSON.parse(sealed.stdout)).toMatchObject({ warnings });
    verify(encrypted);
    const again = runCkptfs('seal', encrypted.image, '--key-file', encrypted.keyFile, '--json');
    expect(JSON.parse(again.stdout)).toMatchObject({ warnings: [] });
  });

  systemTest([], 'again and again while files are written, no file that was closed is ever lost', async () => {
    let [encrypted, mounted] = mountNew(base, mountPoint);
    const script =
      'i=$3; while :; do head -c $((i * 997 % 60000)) /dev/zero | tr "\\0" x > $1/f-$i && echo $i >> $2; i=$((i + 1)); done';
    let count = 0;
    for (let round = 0; round < 5; round++) {
      const writer = spawnSync('timeout', ['0.7', 'sh', '-c', script, 'sh', mountPoint, at('closed'), String(count)]);
      expect(writer.status).toBe(124);
      await kill(mounted);
      count = fs.readFileSync(at('closed'), 'utf8').split('\n').length - 1;
      mounted = mountOn(mountPoint, encrypted, '--write');
      for (let i = 0; i < count; i++) {
        expect(fs.statSync(inMount(`f-${i}`)).size, `f-${i}`).toBe((i * 997) % 60000);
      }
    }
    expect(count).toBeGreaterThan(20);
    ckptfs('umount', mountPoint);
    verify(encrypted);
  });
});

describeIf(['root', 'fuse'], 'a store without room', () => {
  /** A small file system below, with the image in it. */
  function onSmallStore(): Encrypted {
    fs.mkdirSync(at('small'));
    runProgram('mount', '-t', 'tmpfs', '-o', 'size=32m', 'none', at('small'));
    const encrypted = { source: mountPoint, image: at('small/enc'), keyFile: at('key') };
    ckptfs('keygen', '-o', encrypted.keyFile);
    fs.mkdirSync(mountPoint);
    ckptfs('mount', '--write', encrypted.image, mountPoint, '-k', encrypted.keyFile, '--log-file', at('log'));
    return encrypted;
  }
  const errnoOf = (act: () => unknown): string => {
    try {
      act();
      return 'done';
    } catch (error) {
      return String((error as NodeJS.ErrnoException).code);
    }
  };

  systemTest([], 'is told to writers and to umount, and sealing goes on when there is room', () => {
    const encrypted = onSmallStore();
    const data = Buffer.alloc(2 * MIB, 'kept');
    fs.writeFileSync(inMount('kept'), data);
    expect(
      spawnSync('dd', ['if=/dev/zero', `of=${at('small/filler')}`, 'bs=64k'], { encoding: 'utf8' }).stderr,
    ).toContain('No space left');
    expect(errnoOf(() => fs.writeFileSync(inMount('large'), data))).toBe('ENOSPC');
    // Else what the store refused of it would be lost, and sealing would refuse: another test has that.
    fs.rmSync(inMount('large'));
    // Whether there happens to be room for the manifest is up to the file system below; if not, it is said.
    const { status, stderr } = runCkptfs('umount', mountPoint);
    if (status !== 0) {
      expect([status, stderr]).toEqual([
        3,
        expect.stringMatching(
          /^ckptfs: \S+\/enc is left unsealed: cannot write \S+: no space left on the device\. Make room there, then run "ckptfs seal \S+\/enc"\.\n$/,
        ),
      ]);
    }
    fs.rmSync(at('small/filler'));
    ckptfs('seal', encrypted.image, '--key-file', encrypted.keyFile);
    verify(encrypted);
    expect(contentOf(encrypted, 'kept')).toBe(data.toString());
    // Where not even the journal has room, the sealed image stays as it is.
    spawnSync('dd', ['if=/dev/zero', `of=${at('small/filler')}`, 'bs=64k']);
    expect(runCkptfs('mount', '--write', encrypted.image, mountPoint, '-k', encrypted.keyFile)).toMatchObject({
      status: 3,
      stderr: expect.stringContaining('no space left on the device'),
    });
    verify(encrypted);
  });

  const part = Buffer.alloc(128 * 1024, 'part');

  /** Has a large write answered before it is stored, and then no room to store it. */
  function writeInVain(): number {
    const fd = fs.openSync(inMount('f'), 'w+');
    fs.writeSync(fd, part);
    spawnSync('dd', ['if=/dev/zero', `of=${at('small/filler')}`, 'bs=64k']);
    fs.writeSync(fd, part);
    return fd;
  }

  systemTest([], 'is told after a large write by whatever comes next, until the file is cut', () => {
    const encrypted = onSmallStore();
    const fd = writeInVain();
    expect(errnoOf(() => fs.fsyncSync(fd))).toBe('ENOSPC');
    expect(errnoOf(() => fs.writeFileSync(inMount('other'), 'x'))).toBe('ENOSPC');
    expect(fs.fstatSync(fd).size).toBe(2 * part.length);
    fs.ftruncateSync(fd, part.length);
    fs.rmSync(at('small/filler'));
    fs.fsyncSync(fd);
    fs.closeSync(fd);
    ckptfs('umount', mountPoint);
    verify(encrypted);
    expect(contentOf(encrypted, 'f') === part.toString()).toBe(true);
  });

  systemTest([], 'is told by umount, which names what is lost', () => {
    const encrypted = onSmallStore();
    const fd = writeInVain();
    expect(errnoOf(() => fs.closeSync(fd))).toBe('ENOSPC');
    expect(runCkptfs('umount', mountPoint)).toMatchObject({
      status: 3,
      stderr: expect.stringMatching(
        /is left unsealed: what was written last to "f" could not be stored and is lost: .*no space left on the device/,
      ),
    });
    fs.rmSync(at('small/filler'));
    refusesToSeal(encrypted, '"f"');
  });

  /** Seal names what is lost, and recover makes the rest usable. */
  function refusesToSeal(encrypted: Encrypted, names: string): void {
    const { image, keyFile } = encrypted;
    const lost = `what was written last to ${names}: the store refused it`;
    expect(runCkptfs('seal', image, '--key-file', keyFile)).toMatchObject({
      status: 26,
      stderr: expect.stringContaining(lost),
    });
    expect(JSON.parse(ckptfs('recover', image, '--key-file', keyFile, '--json'))).toMatchObject({ dropped: lost });
    ckptfs('seal', image, '--key-file', keyFile);
    verify(encrypted);
  }

  /** Fills the store by this process: another one would close, and so flush, what it inherits of the mount. */
  function fill(): void {
    const fd = fs.openSync(at('small/filler'), 'w');
    const bytes = Buffer.alloc(64 * 1024);
    const write = (): void => {
      for (;;) fs.writeSync(fd, bytes);
    };
    expect(errnoOf(write)).toBe('ENOSPC');
    fs.closeSync(fd);
  }

  systemTest(
    [],
    'is told after a small write by every write, close and sync, until there is room or the file is cut',
    () => {
      const encrypted = onSmallStore();
      fs.writeFileSync(inMount('kept'), 'kept');
      const fd = fs.openSync(inMount('small'), 'w+');
      fs.writeSync(fd, 'hello\n');
      fill();
      expect(errnoOf(() => fs.closeSync(fd))).toBe('ENOSPC');
      const other = fs.openSync(inMount('kept'), 'r+');
      for (let again = 0; again < 3; again++) {
        expect(errnoOf(() => fs.writeSync(other, 'x'))).toBe('ENOSPC');
        expect(errnoOf(() => fs.fsyncSync(other))).toBe('ENOSPC');
      }
      fs.mkdirSync(inMount('made'));
      fs.renameSync(inMount('made'), inMount('renamed'));
      fs.rmSync(at('small/filler'));
      fs.fsyncSync(other);
      fs.closeSync(other);
      expect(fs.readFileSync(inMount('small'), 'utf8')).toBe('hello\n');
      ckptfs('umount', mountPoint);
      verify(encrypted);
      expect(contentOf(encrypted, 'small')).toBe('hello\n');
    },
  );

  systemTest([], 'is told by umount and seal, which name each small file that is lost', () => {
    const encrypted = onSmallStore();
    fs.writeFileSync(inMount('kept'), 'kept');
    const files = ['a', 'b'].map((name) => fs.openSync(inMount(name), 'w'));
    for (const fd of files) fs.writeSync(fd, 'hello\n');
    fill();
    for (const fd of files) expect(errnoOf(() => fs.closeSync(fd))).toBe('ENOSPC');
    expect(runCkptfs('umount', mountPoint)).toMatchObject({
      status: 3,
      stderr: expect.stringMatching(
        /what was written last to "a" and "b" could not be stored and is lost: .*ckptfs recover/,
      ),
    });
    fs.rmSync(at('small/filler'));
    refusesToSeal(encrypted, '"a" and "b"');
    expect(contentOf(encrypted, 'kept')).toBe('kept');
  });

  /** A mount whose daemon may make no file larger than this, which statfs does not show. */
  function mountLimited(kibibytes: number): Encrypted {
    const encrypted = { source: mountPoint, image: at('enc'), keyFile: at('key') };
    ckptfs('keygen', '-o', encrypted.keyFile);
    fs.mkdirSync(mountPoint);
    const words = ['mount', '--write', encrypted.image, mountPoint, '-k', encrypted.keyFile, '--log-file', at('log')];
    runProgram('bash', '-c', 'ulimit -f $1; shift; exec "$@"', 'bash', String(kibibytes), ckptfsProgram, ...words);
    return encrypted;
  }

  systemTest([], 'by a limit of file size takes what fits, in as many objects as it needs', () => {
    const encrypted = mountLimited(2048);
    fs.writeFileSync(inMount('small'), 'hello\n');
    fs.writeFileSync(inMount('large'), Buffer.alloc(9 * MIB, 'large'));
    ckptfs('umount', mountPoint);
    verify(encrypted);
    expect(contentOf(encrypted, 'small')).toBe('hello\n');
    expect(contentOf(encrypted, 'large') === Buffer.alloc(9 * MIB, 'large').toString()).toBe(true);
  });

  systemTest([], 'by a limit of file size is told as EFBIG, and kills nobody', () => {
    const encrypted = mountLimited(8);
    const fd = fs.openSync(inMount('a'), 'w');
    fs.writeSync(fd, 'hello\n');
    expect(errnoOf(() => fs.closeSync(fd))).toBe('EFBIG');
    expect(errnoOf(() => fs.writeFileSync(inMount('b'), 'x'))).toBe('EFBIG');
    expect(runCkptfs('umount', mountPoint)).toMatchObject({
      status: 3,
      stderr: expect.stringContaining('what was written last to "a" could not be stored and is lost'),
    });
    refusesToSeal(encrypted, '"a"');
  });

  systemTest([], 'is told in the foreground by the exit code', async () => {
    fs.mkdirSync(at('small'));
    fs.mkdirSync(mountPoint);
    runProgram('mount', '-t', 'tmpfs', '-o', 'size=32m', 'none', at('small'));
    ckptfs('keygen', '-o', at('key'));
    const words = ['mount', '--write', '-f', at('small/enc'), mountPoint, '-k', at('key')];
    const daemon = start(at('log'), ckptfsProgram, ...words);
    await until('the mount serves', () => fs.readFileSync(at('log'), 'utf8').includes('serving and writing'));
    fs.writeFileSync(inMount('a'), 'content');
    spawnSync('dd', ['if=/dev/zero', `of=${at('small/filler')}`, 'bs=64k']);
    daemon.kill('SIGTERM');
    expect(await endOf(daemon)).toEqual([3, null]);
    expect(fs.readFileSync(at('log'), 'utf8')).toMatch(/error: \S+\/enc is left unsealed: .*ckptfs seal/);
    fs.rmSync(at('small/filler'));
    ckptfs('seal', at('small/enc'), '-k', at('key'));
    expect(ckptfs('cat', at('small/enc'), 'a', '-k', at('key'))).toBe('content');
  });

  systemTest([], 'lets writing go on as soon as there is room again', () => {
    const encrypted = onSmallStore();
    spawnSync('dd', ['if=/dev/zero', `of=${at('small/filler')}`, 'bs=64k']);
    expect(errnoOf(() => fs.writeFileSync(inMount('a'), Buffer.alloc(MIB, 'a')))).toBe('ENOSPC');
    fs.rmSync(at('small/filler'));
    fs.writeFileSync(inMount('a'), Buffer.alloc(MIB, 'b'));
    ckptfs('umount', mountPoint);
    verify(encrypted);
    expect(contentOf(encrypted, 'a')).toBe('b'.repeat(MIB));
  });
});

describeIf(['root', 'fuse', 'namespaces'], 'a mount that cannot be made', () => {
  systemTest([], 'leaves the image sealed that was opened for it', () => {
    const [encrypted] = mountNew(base, mountPoint);
    fs.writeFileSync(inMount('a'), 'content');
    ckptfs('umount', mountPoint);
    const line = 'mount --bind /dev/null /dev/fuse && exec "$@"';
    const words = ['mount', '--write', encrypted.image, mountPoint, '-k', encrypted.keyFile];
    const refused = spawnSync('unshare', ['--mount', 'sh', '-c', line, 'sh', ckptfsProgram, ...words], {
      encoding: 'utf8',
      timeout: PATIENCE,
    });
    expect([refused.status, refused.stderr]).toEqual([30, expect.stringMatching(/^ckptfs: cannot mount on /)]);
    expect(fs.readdirSync(encrypted.image).sort()).toEqual(['ckptfs.json', 'manifest', 'objects']);
    verify(encrypted);
    expect(contentOf(encrypted, 'a')).toBe('content');
  });
});

describeIf(['root', 'fuse', 'namespaces'], 'a mount that another namespace still has', () => {
  systemTest([], 'is not said to be sealed, and is when that one is gone', async () => {
    const [encrypted, mounted] = mountNew(base, mountPoint);
    fs.writeFileSync(inMount('a'), 'content');
    const namespace = await openNamespace();
    try {
      const { status, stderr } = runCkptfs('umount', mountPoint);
      expect([status, stderr]).toEqual([
        32,
        expect.stringContaining('is unmounted here, but another mount namespace still has it'),
      ]);
      expect(isAlive(mounted.pid)).toBe(true);
    } finally {
      await namespace.close();
    }
    await until('the daemon has ended', () => !isAlive(mounted.pid));
    expect(contentOf(encrypted, 'a')).toBe('content');
  });
});

describeIf(['root', 'fuse', 'fusermount', 'setpriv'], 'an ordinary user', () => {
  systemTest([], 'writes, unmounts and finds it sealed', async () => {
    const home = at('home');
    fs.mkdirSync(join(home, 'mnt'), { recursive: true });
    runProgram('chown', '-R', '65534:65534', home);
    const [program, ...prefix] = asNobody(home);
    const user = (...command: string[]) => {
      const result = spawnSync(program, [...prefix, ...command], { encoding: 'utf8', cwd: home, timeout: PATIENCE });
      return { status: result.status, stdout: result.stdout, stderr: result.stderr };
    };
    await withFuseForAll(() => {
      expect(user(ckptfsProgram, 'keygen', '-o', 'key')).toMatchObject({ status: 0 });
      expect(user(ckptfsProgram, 'mount', '--write', 'enc', 'mnt', '-k', 'key', '-q')).toEqual({
        status: 0,
        stdout: '',
        stderr: '',
      });
      expect(user('sh', '-c', 'echo content > mnt/a; mkdir mnt/d; stat -c %u:%g:%a mnt mnt/a')).toEqual({
        status: 0,
        stdout: '65534:65534:755\n65534:65534:644\n',
        stderr: '',
      });
      expect(() => fs.readdirSync(join(home, 'mnt'))).toThrow(expect.objectContaining({ code: 'EACCES' }));
      expect(user(ckptfsProgram, 'umount', 'mnt')).toMatchObject({ status: 0, stderr: '' });
      expect(user(ckptfsProgram, 'cat', 'enc', 'a', '-k', 'key')).toMatchObject({ status: 0, stdout: 'content\n' });
    });
  });
});

describeIf(['root', 'fuse'], 'the library', () => {
  systemTest([], 'makes, mounts, leaves and seals what the commands do', async () => {
    const ckptfsLibrary = await built<typeof import('../../src/index.ts')>('index.js');
    const {
      createEmptyImage,
      createKeyFile,
      symmetricKeyProvider,
      mountImage,
      readKeyFile,
      recoverImage,
      sealImage,
      unlockImage,
    } = ckptfsLibrary;
    createKeyFile(at('key'));
    const { key } = readKeyFile(at('key'));
    const keys = [symmetricKeyProvider(key)];
    const location = at('enc');
    fs.mkdirSync(mountPoint);
    const made = await createEmptyImage({
      destination: location,
      makeSlots: async (imageKey, imageId) => Promise.all(keys.map((provider) => provider.wrap(imageKey, imageId))),
      chunkSize: 4096,
    });
    const common = { location, mountPoint, write: true, logFile: at('log') };
    const mounted = await mountImage({ ...common, imageKey: made.imageKey });
    fs.writeFileSync(inMount('a'), 'content');
    await kill(mounted);
    await expect(unlockImage(location, { keys })).rejects.toMatchObject({ code: 'unsealed' });
    expect(await recoverImage(location, { keys })).toEqual({ imageId: made.imageId, dropped: undefined });
    const again = await mountImage({ ...common, imageKey: await unlockImage(location, { keys, write: true }) });
    await expect(sealImage(location, { keys })).rejects.toMatchObject({ code: 'locked' });
    expect(await again.unmount()).toEqual({ mountPoint: at('mnt'), wiped: true, write: true, ephemeral: false });
    expect(await sealImage(location, { keys })).toEqual({ imageId: made.imageId });
    expect(ckptfs('cat', location, 'a', '-k', at('key'))).toBe('content');
    key.wipe();
  });
});
