// Goal: the commands on sealed images do, print and refuse what docs/cli.md says.
// Method: the real commands encrypt a small tree, look into it, damage it, and give it back.
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ckptfsProgram } from './support/mounts.ts';
import { systemTest } from './support/requirements.ts';
import { failure, success, Terminal, type Transcript, withoutIds } from './support/transcript.ts';

const base = fs.mkdtempSync(join(tmpdir(), 'ckptfs-cli-'));
const terminal = new Terminal(base);
const at = (name: string): string => join(base, name);
const run = (...words: string[]): Transcript => terminal.runWithoutIds(...words);
const key = ['-k', 'key'];
const hostile = Buffer.from('evil\x1b[31m\n\xff', 'latin1');
const pages = Buffer.alloc(3_000_000, 'canary of the pages ');

beforeAll(() => {
  fs.mkdirSync(at('src/sub'), { recursive: true });
  fs.writeFileSync(at('src/pages-1.img'), pages, { mode: 0o644 });
  fs.writeFileSync(at('src/core-1.img'), 'core', { mode: 0o600 });
  fs.writeFileSync(Buffer.concat([Buffer.from(at('src/')), hostile]), 'x', { mode: 0o644 });
  fs.writeFileSync(at('src/sub/deep'), '', { mode: 0o4755 });
  fs.chmodSync(at('src/sub/deep'), 0o4755);
  fs.symlinkSync('../pre', at('src/parent'));
  fs.lutimesSync(at('src/parent'), 0, 0);
  for (const name of fs.readdirSync(at('src'), { encoding: 'buffer' })) {
    if (name.toString() !== 'parent') fs.utimesSync(Buffer.concat([Buffer.from(at('src/')), name]), 86400, 86400);
  }
  expect(run('keygen', '-o', 'key')).toEqual(success());
  expect(run('encrypt', 'src', 'enc', ...key)).toEqual(success('image ID: 4 files, 2.9 MiB, aes-256-xts, in enc\n'));
});

afterAll(() => fs.rmSync(base, { recursive: true }));

describe('keygen', () => {
  test('makes a file that only its owner can read, and never overwrites one', () => {
    expect(fs.statSync(at('key')).mode & 0o777).toBe(0o600);
    expect(run('keygen', '-o', 'key')).toEqual(failure(4, 'key already exists; a key file is never overwritten.'));
    expect(run('keygen', '-o', 'no/where')).toEqual(
      failure(3, 'cannot write key file no/where: no such file or directory.'),
    );
  });

  test.each([
    ['128', 32],
    ['192', 48],
    ['256', 64],
  ])('prints a key of %s bits to standard output', (bits, digits) => {
    const { status, stdout, stderr } = terminal.run('keygen', '--bits', bits);
    expect([status, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(new RegExp(`^[0-9a-f]{${digits}}\\n$`));
  });

  test('is not needed for a key that openssl makes, through a pipe too', () => {
    expect(terminal.shell('openssl rand -hex 24 > ssl && ckptfs encrypt src enc-ssl -k ssl -q').status).toBe(0);
    const { status, stdout } = terminal.shell('chmod 600 ssl; ckptfs cat enc-ssl core-1.img -k <(cat ssl)');
    expect([status, stdout]).toEqual([0, 'core']);
  });
});

describe('encrypt', () => {
  test('refuses a destination with something in it, and a missing source', () => {
    expect(run('encrypt', 'src', 'enc', ...key)).toEqual(
      failure(
        4,
        'enc exists and is not empty: it has ckptfs.json, manifest, objects. Name a directory that does not exist, or an empty one of your own.',
      ),
    );
    expect(run('encrypt', 'nosrc', 'enc2', ...key)).toEqual(
      failure(3, 'cannot look at nosrc: no such file or directory.'),
    );
    expect(run('encrypt', 'key', 'enc2', ...key)).toEqual(
      failure(5, 'key is not a tar archive, neither as it is nor compressed by gzip or zstd.'),
    );
    expect(run('encrypt', '/dev/null', 'enc2', ...key)).toEqual(failure(3, '/dev/null is not a directory.'));
    expect(fs.existsSync(at('enc2'))).toBe(false);
  });

  systemTest(['root'], 'refuses devices, or leaves them out', () => {
    expect(terminal.shell('mkdir special && echo x > special/a && mknod special/null c 1 3').status).toBe(0);
    expect(run('encrypt', 'special', 'enc2', ...key)).toEqual(
      failure(
        5,
        'special/null is a device, which an image cannot hold. Remove it, or leave devices out with --skip-special.',
      ),
    );
    expect(run('encrypt', 'special', 'enc2', ...key, '--skip-special')).toEqual({
      status: 0,
      stdout: 'image ID: 1 file, 2 bytes, aes-256-xts, in enc2\n',
      stderr: 'ckptfs: warning: left out special/null: a device\n',
    });
  });

  test('makes a key where none is given and names it, and the other commands find it', () => {
    const { stdout, status } = terminal.run('encrypt', 'src', 'enc-default');
    const id = /^image ([0-9a-f]{32}): /.exec(stdout)?.[1];
    const path = at(`config/ckptfs/keys/${id}.key`);
    expect([status, stdout]).toEqual([
      0,
      `image ${id}: 4 files, 2.9 MiB, aes-256-xts, in enc-default\nkey made: ${path} (keep a copy of it elsewhere)\n`,
    ]);
    expect(fs.statSync(path).mode & 0o777).toBe(0o600);
    expect(run('cat', 'enc-default', 'core-1.img')).toEqual(success('core'));
    fs.renameSync(path, `${path}.away`);
    expect(terminal.run('cat', 'enc-default', 'core-1.img')).toEqual(
      failure(
        11,
        `no key was given, and there is none for this image at ${path}. Name the key with --key-file FILE, or where it is with --key SOURCE.`,
      ),
    );
  });

  test('makes a key slot for each key, and prints a result with --json', () => {
    expect(run('keygen', '-o', 'key2')).toEqual(success());
    const { stdout } = run(
      'encrypt',
      'src',
      'enc-two',
      ...key,
      '-k',
      'key2',
      '--cipher',
      'chacha20-poly1305',
      '--json',
    );
    expect(JSON.parse(stdout)).toEqual({
      imageId: 'ID',
      files: 4,
      fileBytes: 3_000_005,
      skipped: [],
      losses: [],
      suite: 'default',
      cipher: 'chacha20-poly1305',
    });
    expect(run('cat', 'enc-two', 'core-1.img', '-k', 'key2')).toEqual(success('core'));
    expect(run('info', 'enc-two').stdout).toContain('key slots    2 (A256KW, A256KW)\n');
  });

  test('reports what is left when a signal ends it, and other commands refuse that', () => {
    fs.mkdirSync(at('big'));
    fs.writeFileSync(at('big/pages-1.img'), '');
    fs.truncateSync(at('big/pages-1.img'), 1);
    const line =
      'head -c 1G /dev/zero > big/pages-1.img; ckptfs encrypt big enc-cut & sleep 0.2; until [ -e enc-cut/ckptfs.json ]; do sleep 0.01; done; kill -TERM $(pgrep -P $!); wait $!; echo $?; rm big/pages-1.img';
    const { stdout, stderr } = terminal.shell(line);
    expect(withoutIds(stderr)).toBe('ckptfs: interrupted by SIGTERM. enc-cut is left unfinished, big untouched.\n');
    expect(stdout).toBe('143\n');
    for (const command of ['info', 'verify', 'ls']) {
      expect(run(command, 'enc-cut', ...key)).toEqual(
        failure(
          21,
          'enc-cut is an unfinished image: it was never sealed. Its creation was interrupted. Remove it and encrypt again; the source was not touched.',
        ),
      );
    }
    expect(fs.readdirSync(at('config/ckptfs/keys')).filter((name) => name.endsWith('.key'))).toEqual([]);
  });
});

describe('what is in an image', () => {
  test('ls escapes names, and prints them unchanged with -0', () => {
    const mode = fs.statSync(at('src/sub')).mode & 0o022 ? 'drwxrwxr-x' : 'drwxr-xr-x';
    const lines = [
      '-rw-------  1  0  0        4  1970-01-02 00:00:00  core-1.img',
      '-rw-r--r--  1  0  0        1  1970-01-02 00:00:00  evil\\x1b[31m\\n\\xff',
      '-rw-r--r--  1  0  0  3000000  1970-01-02 00:00:00  pages-1.img',
      'lrwxrwxrwx  1  0  0        6  1970-01-01 00:00:00  parent -> ../pre',
      `${mode}  2  0  0        0  1970-01-02 00:00:00  sub`,
    ];
    const owner = fs.statSync(at('src'));
    const expected = lines.map((line) => line.replace('  0  0 ', `  ${owner.uid}  ${owner.gid} `)).join('\n');
    expect(run('ls', 'enc', ...key)).toEqual(success(`${expected}\n`));
    const raw = terminal.bytes('ls', 'enc', '-R', '-0', ...key);
    const names = [
      Buffer.from('core-1.img'),
      hostile,
      ...['pages-1.img', 'parent', 'sub', 'sub/deep'].map((name) => Buffer.from(name)),
    ];
    expect(raw).toEqual(Buffer.concat(names.flatMap((name) => [name, Buffer.alloc(1)])));
  });

  test('ls lists one path, with --json too', () => {
    expect(run('ls', 'enc', '/sub/', ...key).stdout).toMatch(/^-rwsr-xr-x .* deep\n$/);
    const [file] = JSON.parse(run('ls', 'enc', 'parent', '--json', ...key).stdout);
    expect(file).toMatchObject({
      name: 'parent',
      type: 'symlink',
      size: 6,
      target: '../pre',
      mtime: { seconds: 0, nanoseconds: 0 },
    });
    const names = JSON.parse(run('ls', 'enc', '--json', ...key).stdout).map(
      (entry: { nameBase64?: string }) => entry.nameBase64,
    );
    expect(names).toContain(hostile.toString('base64'));
    expect(run('ls', 'enc', 'no\nsuch', ...key)).toEqual(failure(25, 'the image has no file no\\nsuch.'));
  });

  test('cat writes the bytes of a file, and refuses anything else', () => {
    expect(terminal.bytes('cat', 'enc', 'pages-1.img', ...key).equals(pages)).toBe(true);
    expect(run('cat', 'enc', 'sub', ...key)).toEqual(failure(25, 'sub in the image is a directory, not a file.'));
    expect(run('cat', 'enc', 'parent', ...key)).toEqual(
      failure(25, 'parent in the image is a symbolic link to ../pre, not a file.'),
    );
    expect(run('cat', 'enc', 'gone', ...key)).toEqual(failure(25, 'the image has no file gone.'));
  });

  test('info works without the key, and shows more with it', () => {
    const outside = ['image', 'format', 'suite', 'cipher', 'chunk size', 'key slots', 'objects', 'stored size'];
    const inside = ['sealed', 'files', 'directories', 'symbolic links', 'size of files', 'of it data', 'overhead'];
    const labels = (text: string): string[] =>
      text
        .trimEnd()
        .split('\n')
        .map((line) => line.split(/ {2,}/)[0] ?? '');
    expect(labels(run('info', 'enc').stdout)).toEqual(outside);
    const { status, stdout } = run('info', 'enc', ...key);
    expect(status).toBe(0);
    expect(labels(stdout)).toEqual([...outside, ...inside]);
    expect(stdout).toMatch(/^files +4$/m);
    const json = JSON.parse(run('info', 'enc', '--json', ...key).stdout);
    expect(json).toMatchObject({
      authenticated: true,
      files: 4,
      directories: 2,
      symlinks: 1,
      fileBytes: 3_000_005,
      epoch: 1,
    });
    expect(JSON.parse(run('info', 'enc', '--json').stdout)).toMatchObject({
      authenticated: false,
      imageId: 'ID',
      formatVersion: 1,
    });
  });

  test('verify accepts the image, and decrypt gives the tree back', () => {
    expect(run('verify', 'enc', ...key)).toEqual(success('intact: 2 objects, 185 chunks\n'));
    expect(run('decrypt', 'enc', 'out', ...key)).toEqual(success('4 files, 2.9 MiB, in clear in out\n'));
    expect(terminal.shell('diff -r --no-dereference src out')).toEqual(success());
    const refused = run('decrypt', 'enc', 'out', ...key);
    expect(refused.status).toBe(4);
    expect(refused.stderr).toMatch(/^ckptfs: out exists and is not empty: it has .*core-1.img.* and 2 more\. Name a /);
  });
});

describe('damage', () => {
  beforeAll(() => {
    fs.cpSync(at('enc'), at('bad'), { recursive: true });
    const objects = fs
      .readdirSync(at('bad/objects'), { recursive: true, encoding: 'utf8' })
      .map((name) => at(`bad/objects/${name}`));
    const largest = objects.sort((a, b) => fs.statSync(b).size - fs.statSync(a).size)[0] ?? '';
    const file = fs.openSync(largest, 'r+');
    const byte = Buffer.alloc(1);
    // In the data of chunk 20: header page, tag page, 20 chunks.
    fs.readSync(file, byte, 0, 1, 8192 + 20 * 16384);
    fs.writeSync(file, Buffer.from([byte.readUInt8() ^ 1]), 0, 1, 8192 + 20 * 16384);
    fs.closeSync(file);
    fs.writeFileSync(at('bad/stranger\n'), '');
  });

  test('a worker that dies is a failure', () => {
    const project = dirname(dirname(ckptfsProgram));
    for (const part of ['bin', 'dist', 'package.json'])
      fs.cpSync(join(project, part), at(`dying/${part}`), { recursive: true });
    fs.symlinkSync(join(project, 'node_modules'), at('dying/node_modules'));
    const worker = at('dying/dist/bundle/image-worker.js');
    fs.writeFileSync(worker, `process.exit(3);${fs.readFileSync(worker, 'utf8')}`);
    const { status, stdout, stderr } = terminal.shell(`${at('dying/bin/ckptfs')} verify enc -k key`);
    expect([status, stdout, stderr]).toEqual([1, '', expect.stringContaining('a worker ended early with 3')]);
  });

  test('leaves the pipe of its caller as it was', () => {
    const { stdout } = terminal.shell('(ckptfs info enc >&2; grep flags /proc/self/fdinfo/2) 2>&1 | grep flags');
    expect(Number.parseInt(stdout.replace('flags:', '').trim(), 8) & fs.constants.O_NONBLOCK).toBe(0);
  });

  test('verify names file, object, chunk and reason, and what does not belong there', () => {
    expect(run('verify', 'bad', ...key)).toEqual({
      status: 23,
      stdout:
        'pages-1.img: object ID, chunk 20: its tag does not match\n' + 'damaged: 1 fault in 2 objects, 185 chunks\n',
      stderr: 'ckptfs: warning: unexpected file, no part of the image: stranger\\n\n',
    });
    const report = JSON.parse(run('verify', 'bad', '--json', ...key).stdout);
    expect(report).toMatchObject({
      intact: false,
      damage: [{ file: 'pages-1.img', object: 'ID', chunk: 20 }],
      unexpected: ['stranger\n'],
    });
    expect(run('verify', 'bad', '--strict', '--quiet', ...key).status).toBe(23);
  });

  test('verify takes what is no part of the image for what it is, and objects that are too much for a fault', () => {
    fs.cpSync(at('enc'), at('strange'), { recursive: true });
    fs.mkdirSync(at('strange/lost+found'));
    fs.writeFileSync(at('strange/objects/.nfs0123'), '');
    const named = ['lost+found', 'objects/.nfs0123'];
    const warnings = named.map((name) => `ckptfs: warning: unexpected file, no part of the image: ${name}\n`).join('');
    const intact = { stdout: 'intact: 2 objects, 185 chunks\n', stderr: warnings };
    expect(run('verify', 'strange', ...key)).toEqual({ status: 0, ...intact });
    expect(run('verify', 'strange', '--strict', ...key)).toEqual({ status: 28, ...intact });
    expect(run('verify', 'strange', '--quiet', ...key)).toEqual(success());
    expect(JSON.parse(run('verify', 'strange', '--json', '-q', ...key).stdout)).toMatchObject({
      intact: true,
      unexpected: named,
    });
    fs.mkdirSync(at('strange/objects/00'), { recursive: true });
    fs.writeFileSync(at(`strange/objects/00/${'0'.repeat(32)}`), '');
    const { status, stdout } = run('verify', 'strange', '--quiet', ...key);
    expect([status, stdout]).toEqual([23, 'object ID: this object does not belong to the image\n']);
    fs.rmSync(at('strange/objects'), { recursive: true });
    fs.symlinkSync(at('enc/objects'), at('strange/objects'));
    const followed = run('verify', 'strange', '--quiet', ...key);
    expect(followed.status).toBe(23);
    expect(followed.stdout).toContain(`strange/objects is a symbolic link, not a directory of the image`);
  });

  test('cat gives nothing that was not authenticated, and fails', () => {
    const { status, stderr } = run('cat', 'bad', 'pages-1.img', ...key);
    expect([status, stderr]).toEqual([23, 'ckptfs: pages-1.img: object ID, chunk 20: its tag does not match.\n']);
    const given = terminal.bytes('cat', 'bad', 'pages-1.img', ...key);
    expect(given.length).toBeLessThanOrEqual(20 * 16384);
    expect(pages.subarray(0, given.length).equals(given)).toBe(true);
    expect(terminal.bytes('cat', 'bad', 'core-1.img', ...key).toString()).toBe('core');
  });

  test('decrypt fails and names the file', () => {
    const { status, stderr } = run('decrypt', 'bad', 'bad-out', ...key);
    expect([status, stderr]).toEqual([
      23,
      'ckptfs: bad-out/pages-1.img: object ID, chunk 20: its tag does not match.\n',
    ]);
  });
});
