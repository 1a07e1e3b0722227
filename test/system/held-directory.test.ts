// Goal: an image is the directory that was opened, whatever happens to names meanwhile.
// Method: images are moved, exchanged and linked while real daemons have them open.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { clear, untilThreadsServe } from './support/mounts.ts';
import { runProgram } from './support/programs.ts';
import { describeIf } from './support/requirements.ts';
import { success, Terminal, type Transcript } from './support/transcript.ts';

const key = ['-k', 'key'];

/** Directories, a key, and images of those under it, which tests get copies of. */
let made: string;
let base: string;
let terminal: Terminal;
const at = (...names: string[]): string => join(base, ...names);
const run = (...words: string[]): Transcript => terminal.runWithoutIds(...words);

const makeBase = (): string => fs.realpathSync(fs.mkdtempSync(join(tmpdir(), 'ckptfs-held-')));

beforeAll(() => {
  made = makeBase();
  base = made;
  terminal = new Terminal(made);
  for (const name of ['src', 'other']) fs.mkdirSync(at(name));
  fs.writeFileSync(at('src', 'file'), 'one');
  fs.writeFileSync(at('src', 'large'), Buffer.alloc(300_000, 'large'));
  fs.writeFileSync(at('other', 'file'), 'two');
  terminal.run('keygen', '-o', 'key');
  for (const name of ['src', 'other']) encrypt(name, `image-of-${name}`);
});

beforeEach(() => {
  base = makeBase();
  terminal = new Terminal(base);
  for (const name of ['mnt', 'disk']) fs.mkdirSync(at(name));
  for (const name of ['src', 'other', 'key']) copyMade(name, name);
});

afterEach(() => {
  clear(at('mnt'));
  fs.rmSync(base, { recursive: true });
});
afterAll(() => fs.rmSync(made, { recursive: true }));

function copyMade(name: string, to: string): void {
  runProgram('cp', '-a', join(made, name), at(to));
}

function encrypt(source: string, image: string): void {
  expect(run('encrypt', source, image, ...key, '-q')).toEqual(success());
}

/** Puts an image of `src` or `other` there. */
function placeImage(source: 'src' | 'other', image: string): void {
  copyMade(`image-of-${source}`, image);
}

function verifies(image: string): void {
  const { status, stdout } = run('verify', image, ...key);
  expect([image, status, stdout]).toEqual([image, 0, expect.stringMatching(/^intact: /)]);
}

interface Listed {
  readonly mountPoint: string;
  readonly pid: number;
  readonly source: string;
  readonly daemon: { readonly counters: { readonly authenticationFailures: number } };
}

function listed(): Listed {
  const mounts = JSON.parse(terminal.run('status', '--json').stdout) as Listed[];
  const found = mounts.find(({ mountPoint }) => mountPoint === at('mnt'));
  if (found === undefined) throw new Error('it is not listed');
  return found;
}

function objectsOf(image: string): string[] {
  const names = fs.readdirSync(at(image, 'objects'), { recursive: true, encoding: 'utf8' });
  return names.filter((name) => /^..\/.{32}$/.test(name)).sort();
}

describeIf(['root', 'fuse'], 'an image that is moved away while it is mounted, and another put in its place', () => {
  const changes: readonly (readonly [string, () => void])[] = [
    ['a file is removed', () => fs.rmSync(at('mnt', 'file'))],
    ['a mode is changed', () => fs.chmodSync(at('mnt', 'file'), 0o600)],
    ['a file is made durable', () => expect(writeDurable().status).toBe(0)],
    [
      'a file is made durable, and another removed',
      () => {
        expect(writeDurable().status).toBe(0);
        fs.rmSync(at('mnt', 'large'));
      },
    ],
    ['a file is written', () => fs.writeFileSync(at('mnt', 'new'), 'new')],
  ];

  function writeDurable(): Transcript {
    return terminal.shell('dd if=/dev/urandom of=mnt/durable bs=1000 count=9 conv=fsync status=none');
  }

  test.each(changes)('is sealed where it is now, the other one stays whole: %s', (_, change) => {
    placeImage('src', 'ckpt');
    expect(run('mount', '--write', 'ckpt', 'mnt', ...key)).toEqual(success());
    change();
    fs.renameSync(at('ckpt'), at('ckpt.old'));
    placeImage('other', 'ckpt');
    expect(listed().source).toBe(at('ckpt.old'));
    const manifest = fs.readFileSync(at('ckpt', 'manifest'));
    expect(run('umount', 'mnt')).toEqual(success());
    expect(fs.readFileSync(at('ckpt', 'manifest')).equals(manifest)).toBe(true);
    verifies('ckpt');
    verifies('ckpt.old');
    expect(fs.readdirSync(at('ckpt.old')).sort()).toEqual(['ckptfs.json', 'manifest', 'objects']);
    const { stdout } = run('cat', 'ckpt', 'file', ...key);
    expect(stdout).toBe('two');
  });

  test('another one that is being written keeps its journal, and both are sealed', () => {
    placeImage('src', 'ckpt');
    fs.mkdirSync(at('mnt2'));
    expect(run('mount', '--write', 'ckpt', 'mnt', ...key)).toEqual(success());
    fs.writeFileSync(at('mnt', 'new'), 'first');
    fs.renameSync(at('ckpt'), at('ckpt.old'));
    try {
      expect(run('mount', '--write', 'ckpt', 'mnt2', ...key, '-q')).toEqual(success());
      expect(terminal.shell('printf second > mnt2/new && sync mnt2/new')).toEqual(success());
      expect(run('umount', 'mnt')).toEqual(success());
      expect(fs.existsSync(at('ckpt', 'journal'))).toBe(true);
      expect(run('umount', 'mnt2')).toEqual(success());
    } finally {
      clear(at('mnt2'));
    }
    expect(run('cat', 'ckpt', 'new', ...key).stdout).toBe('second');
    expect(run('cat', 'ckpt.old', 'new', ...key).stdout).toBe('first');
  });

  test.each([[[]], [['--transport', 'kernel', '--workers', '3']]])(
    'goes on to be read, also files that were not open yet, with %j',
    async (options) => {
      placeImage('src', 'ckpt');
      expect(run('mount', 'ckpt', 'mnt', ...key, ...options)).toEqual(success());
      fs.renameSync(at('ckpt'), at('ckpt.old'));
      placeImage('other', 'ckpt');
      expect(terminal.shell('cmp mnt/large src/large')).toEqual(success());
      if (options.length > 0) await untilThreadsServe(listed().pid, at('mnt', 'large'));
      expect(terminal.shell('cat mnt/file && cmp mnt/large src/large')).toEqual(success('one'));
      expect(listed()).toMatchObject({ source: at('ckpt.old'), daemon: { counters: { authenticationFailures: 0 } } });
      fs.rmSync(at('ckpt.old'), { recursive: true });
      expect(listed().source).toBe(`${at('ckpt.old')} (removed)`);
      expect(run('umount', 'mnt')).toEqual(success());
    },
  );

  test('is named in messages by the path where it is now', () => {
    placeImage('src', 'ckpt');
    expect(run('mount', '--write', 'ckpt', 'mnt', ...key)).toEqual(success());
    fs.rmSync(at('mnt', 'file'));
    fs.renameSync(at('ckpt'), at('ckpt.old'));
    // Something that no seal can put its manifest in the place of.
    fs.rmSync(at('ckpt.old', 'manifest'));
    fs.mkdirSync(at('ckpt.old', 'manifest'));
    const { status, stderr } = run('umount', 'mnt');
    expect(status).toBe(3);
    expect(stderr).toContain(`${at('ckpt.old')} is left unsealed`);
    expect(stderr).toContain(`ckptfs seal ${at('ckpt.old')}`);
  });
});

describeIf(['root', 'fuse'], 'readers and a writer', () => {
  test('a writer of an image that is mounted read-only is refused with the name of the reader, and accepted afterwards', () => {
    placeImage('src', 'enc');
    expect(run('mount', 'enc', 'mnt', ...key)).toEqual(success());
    const { pid } = listed();
    fs.mkdirSync(at('writer'));
    const refused = terminal.run('mount', '--write', 'enc', 'writer', ...key);
    expect(refused.status).toBe(27);
    expect(refused.stderr).toContain(`enc is being read by process ${pid}.`);
    for (const command of ['seal', 'recover']) expect(run(command, 'enc', ...key).status).toBe(27);
    expect(fs.readdirSync(at('enc')).sort()).toEqual(['ckptfs.json', 'manifest', 'objects']);
    expect(terminal.shell('cat mnt/file && cmp mnt/large src/large')).toEqual(success('one'));
    verifies('enc');
    expect(run('umount', 'mnt')).toEqual(success());
    expect(run('mount', '--write', 'enc', 'mnt', ...key)).toEqual(success());
    expect(run('cat', 'enc', 'file', ...key).status).toBe(26);
    expect(run('umount', 'mnt')).toEqual(success());
    verifies('enc');
  });

  test('an object that is missing is a failure that status counts', () => {
    placeImage('src', 'enc');
    expect(run('mount', 'enc', 'mnt', ...key)).toEqual(success());
    for (const name of objectsOf('enc')) fs.rmSync(at('enc', 'objects', name));
    expect(() => fs.readFileSync(at('mnt', 'file'))).toThrow('EIO');
    expect(listed().daemon.counters.authenticationFailures).toBeGreaterThan(0);
    expect(run('umount', 'mnt')).toEqual(success());
  });
});

describeIf(['root', 'fuse'], 'a link to the objects of another image, in place of those of an unsealed one', () => {
  test.each([
    ['seal', ['seal', 'A', ...key]],
    ['mount --write', ['mount', '--write', 'A', 'mnt', ...key]],
    ['recover', ['recover', 'A', ...key]],
  ])('%s refuses, and removes nothing of the other', (_, words) => {
    placeImage('src', 'B');
    expect(run('mount', '--write', 'A', 'mnt', ...key, '-q')).toEqual(success());
    fs.copyFileSync(at('A', 'journal'), at('early-journal'));
    fs.writeFileSync(at('mnt', 'new'), Buffer.alloc(400_000, 'new'));
    expect(run('umount', 'mnt')).toEqual(success());
    fs.rmSync(at('A', 'manifest'));
    fs.copyFileSync(at('early-journal'), at('A', 'journal'));
    fs.rmSync(at('A', 'objects'), { recursive: true });
    fs.symlinkSync(at('B', 'objects'), at('A', 'objects'));
    const before = objectsOf('B');
    const { status, stderr } = run(...words);
    expect([status, stderr]).toEqual([23, expect.stringContaining('A/objects is a symbolic link')]);
    expect(objectsOf('B')).toEqual(before);
    verifies('B');
  });
});

describeIf(['root', 'fuse'], 'a mount point in place of the objects', () => {
  test('is not entered', () => {
    placeImage('src', 'enc');
    encrypt('src', 'other-image');
    expect(spawnSync('mount', ['--bind', at('other-image', 'objects'), at('enc', 'objects')]).status).toBe(0);
    try {
      const { status, stderr } = run('cat', 'enc', 'file', ...key);
      expect([status, stderr]).toEqual([23, expect.stringContaining('enc/objects is a mount point')]);
    } finally {
      spawnSync('umount', [at('enc', 'objects')]);
    }
    verifies('enc');
  });
});

describeIf(['root', 'fuse', 'loop'], 'a disk of its own for an image', () => {
  test('its lost+found hinders nothing, and anything else there is named', () => {
    const made = terminal.shell('truncate -s 20M image && mkfs.ext4 -q image && mount -o loop image disk');
    expect(made).toEqual(success());
    try {
      expect(run('mount', '--write', 'disk', 'mnt', ...key, '-q')).toEqual(success());
      fs.writeFileSync(at('mnt', 'file'), 'written');
      expect(run('umount', 'mnt')).toEqual(success());
      const warning = 'ckptfs: warning: unexpected file, no part of the image: lost+found\n';
      expect(run('verify', 'disk', ...key)).toMatchObject({ status: 0, stderr: warning });
      expect(run('verify', 'disk', '--strict', ...key)).toMatchObject({ status: 28, stderr: warning });
      const refused = run('encrypt', 'src', 'disk', ...key);
      expect([refused.status, refused.stderr]).toEqual([4, expect.stringContaining('it has ckptfs.json, manifest')]);
      expect(terminal.shell('rm -r disk/[!l]*')).toEqual(success());
      encrypt('src', 'disk');
      expect(run('cat', 'disk', 'file', ...key).stdout).toBe('one');
      expect(terminal.shell('rm -r disk/[!l]* && touch disk/photo')).toEqual(success());
      const other = run('mount', '--write', 'disk', 'mnt', ...key);
      expect([other.status, other.stderr]).toEqual([20, expect.stringContaining('is not empty: it has photo')]);
    } finally {
      terminal.shell('umount disk');
    }
  });
});
