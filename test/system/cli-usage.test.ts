// Goal: a mistake in a key, an image or the command line is one line that says what is wrong; nothing is done.
// Method: the real commands are given each mistake; standard output, standard error and exit code are compared.
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ckptfsProgram } from './support/mounts.ts';
import { systemTest } from './support/requirements.ts';
import { failure, success, Terminal, type Transcript } from './support/transcript.ts';

const base = fs.mkdtempSync(join(tmpdir(), 'ckptfs-usage-'));
const terminal = new Terminal(base);
const at = (name: string): string => join(base, name);
const run = (...words: string[]): Transcript => terminal.runWithoutIds(...words);
const key = ['-k', 'key'];
const pages = Buffer.alloc(3_000_000, 'canary of the pages ');

beforeAll(() => {
  fs.mkdirSync(at('src'));
  fs.writeFileSync(at('src/pages-1.img'), pages);
  fs.writeFileSync(at('src/core-1.img'), 'core');
  expect(run('keygen', '-o', 'key')).toEqual(success());
  expect(run('encrypt', 'src', 'enc', ...key, '--quiet')).toEqual(success());
});

afterAll(() => fs.rmSync(base, { recursive: true }));

describe('wrong keys and images', () => {
  const expected = 'expected a key of 16, 24 or 32 bytes in hexadecimal (32, 48 or 64 digits)';
  const advice = 'Make one with `ckptfs keygen -o FILE` or `openssl rand -hex 32 > FILE`.';

  test.each([
    ['empty', '', `key file empty: ${expected}; it is empty. ${advice}`],
    ['odd', 'abc\n', `key file odd: ${expected}; found 3 digits, an odd number. ${advice}`],
    ['short', 'aabb', `key file short: ${expected}; found 2 bytes (4 digits). ${advice}`],
    ['no-hex', 'zz', `key file no-hex: ${expected}; byte 1 is not a hexadecimal digit. ${advice}`],
    ['huge', 'a'.repeat(5000), 'key file huge is larger than 4096 bytes.'],
  ])('%s', (name, content, line) => {
    fs.writeFileSync(at(name), content, { mode: 0o600 });
    expect(run('ls', 'enc', '-k', name)).toEqual(failure(10, line));
  });

  test('a directory, a missing file, a file that others can read and a wrong key are refused as keys', () => {
    expect(run('ls', 'enc', '-k', 'src')).toEqual(failure(10, 'cannot read key file src: is a directory.'));
    expect(run('ls', 'enc', '-k', 'gone')).toEqual(
      failure(
        10,
        'cannot read key file gone: no such file or directory. Make a key file with `ckptfs keygen -o FILE`.',
      ),
    );
    fs.copyFileSync(at('key'), at('open'));
    fs.chmodSync(at('open'), 0o644);
    const warning = 'ckptfs: warning: key file open can be read by other users: chmod 600 open\n';
    expect(run('cat', 'enc', 'core-1.img', '-k', 'open')).toEqual({ status: 0, stdout: 'core', stderr: warning });
    expect(run('cat', 'enc', 'core-1.img', '-k', 'open', '--quiet')).toEqual(success('core'));
    terminal.run('keygen', '-o', 'other');
    expect(run('cat', 'enc', 'core-1.img', '-k', 'other')).toEqual(
      failure(
        12,
        'key file other does not open the one key slot of this image. Give the key that this image was encrypted with.',
      ),
    );
  });

  test('a directory without an image, and another image than the one named, are refused', () => {
    const advice = 'Name the directory that "ckptfs encrypt" made.';
    expect(run('info', 'src')).toEqual(failure(20, `src is not a ckptfs image: it has no ckptfs.json. ${advice}`));
    expect(run('info', 'key')).toEqual(failure(20, `key is not a ckptfs image: it is not a directory. ${advice}`));
    expect(run('info', 'gone')).toEqual(failure(3, 'gone does not exist.'));
    const zeros = '0'.repeat(32);
    expect(run('cat', 'enc', 'core-1.img', ...key, '--image-id', zeros)).toEqual(
      failure(24, 'enc is image ID, not ID. Another image may have been put in its place.'),
    );
    const id = JSON.parse(terminal.run('info', 'enc', '--json').stdout).imageId;
    expect(run('cat', 'enc', 'core-1.img', ...key, '--image-id', id.toUpperCase())).toEqual(success('core'));
  });
});

describe('the command line', () => {
  test.each([
    [[], 'no command is given. See "ckptfs --help".'],
    [['frob'], 'unknown command frob. See "ckptfs --help".'],
    [['mount', 'enc'], 'an argument is missing: 1 given, 2 needed. See "ckptfs mount --help".'],
    [
      ['mount', 'enc', ''],
      'the argument MNT is empty. Is a variable of the shell not set? The current directory is ".".',
    ],
    [['ls', 'enc', '--frob'], 'unknown option --frob. See "ckptfs ls --help".'],
  ])('%j is refused in one line', (words, line) => {
    expect(run(...words)).toEqual(failure(2, line));
  });

  test('help and version go to standard output', () => {
    const { version } = JSON.parse(fs.readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
    expect(run('--version')).toEqual(success(`${version}\n`));
    expect(run('-V')).toEqual(success(`${version}\n`));
    expect(run('verify', '-h').stdout).toContain('ckptfs verify <ENC>');
  });

  test('a failure with --debug shows its code and stack', () => {
    const { stderr } = run('info', 'src', '--debug');
    expect(stderr).toMatch(/^ckptfs: src is not .*\n\[not-an-image\] CkptfsError: .*\n +at readAnyHeader /);
  });

  test('after -- no word is an option', () => {
    fs.cpSync(at('enc'), at('-enc'), { recursive: true });
    expect(run('verify', ...key, '--', '-enc')).toEqual(success('intact: 2 objects, 185 chunks\n'));
  });

  test('a reader that goes away ends a command quietly', () => {
    const line = 'ckptfs cat enc pages-1.img -k key | head -c 10; echo $PIPESTATUS';
    expect(terminal.shell(line)).toEqual(success(`${pages.subarray(0, 10)}141\n`));
  });

  test('a full disk under standard output is a failure', () => {
    expect(terminal.shell('ckptfs ls enc -k key > /dev/full')).toEqual(
      failure(3, 'cannot write to standard output: no space left on the device.'),
    );
  });

  test('completion knows commands, options and their values, asked directly and in bash', () => {
    for (const [shell, check] of [
      ['bash', 'bash -n'],
      ['zsh', 'cat'],
    ] as const) {
      expect(terminal.shell(`ckptfs completion ${shell} | ${check}`), shell).toMatchObject({ status: 0, stderr: '' });
    }
    expect(run('completion', '--help').stdout).toContain('ckptfs completion [SHELL]');
    const complete = (...words: string[]): string[] =>
      run('--get-yargs-completions', 'ckptfs', ...words).stdout.split('\n');
    expect(complete('mount', '--')).toEqual(expect.arrayContaining(['--key-file', '--scratch', '--workers']));
    const inBash = (...words: string[]): string => {
      const line = `eval "$(ckptfs completion bash)"; COMP_WORDS=(ckptfs "$@"); COMP_CWORD=$#; _ckptfs; echo "\${COMPREPLY[*]}"`;
      return terminal.shell(`set -- ${words.map((word) => `'${word}'`).join(' ')}; ${line}`).stdout.trimEnd();
    };
    expect(inBash('mo')).toBe('mount');
    expect(inBash('encrypt', '--cipher', '')).toBe('aes-256-xts aes-128-xts chacha20-poly1305 aes-256-gcm none');
    expect(inBash('encrypt', '--cipher', 'cha')).toBe('chacha20-poly1305');
    expect(inBash('mount', 'a', 'b', '--transport', '')).toBe('auto kernel io-uring fuse-native');
    expect(inBash('keygen', '--bits', '1')).toBe('128 192');
    expect(inBash('mount', '--wr')).toBe('--write');
    // A path: bash completes it by itself.
    expect(inBash('mount', '')).toBe('');
  });

  systemTest(['zsh'], 'completion in zsh offers what it does in bash', () => {
    const script = `compdef() { }; compadd() { print -r -- \${(P)2} }; _files() { print files }; eval "$(<completion.zsh)"`;
    terminal.shell(`ckptfs completion zsh > completion.zsh; mkdir -p bin; ln -sf '${ckptfsProgram}' bin/ckptfs`);
    const inZsh = (...words: string[]): string => {
      const state = `words=(ckptfs ${words.map((word) => `'${word}'`).join(' ')}); CURRENT=${words.length + 1}; PREFIX=$words[-1]`;
      fs.writeFileSync(at('complete.zsh'), `${script}\n${state}; _ckptfs\n`);
      return terminal.shell('PATH=$PWD/bin:$PATH zsh -f complete.zsh').stdout.trimEnd();
    };
    expect(inZsh('encrypt', '--cipher', '')).toBe('aes-256-xts aes-128-xts chacha20-poly1305 aes-256-gcm none');
    expect(inZsh('mount', '')).toBe('files');
  });

  test('a key comes from standard input, and never from an empty path', () => {
    expect(terminal.shell('ckptfs cat enc core-1.img -k - < key')).toEqual(success('core'));
    expect(terminal.shell('cat key | ckptfs cat enc core-1.img --key-file -')).toEqual(success('core'));
    expect(terminal.shell('ckptfs cat enc core-1.img -k - < /dev/null')).toMatchObject({
      status: 10,
      stderr: expect.stringContaining('key file on standard input: expected'),
    });
    expect(run('cat', 'enc', 'core-1.img', '-k', '')).toEqual(
      failure(2, 'the value of --key-file is empty. Is a variable of the shell not set?'),
    );
  });

  test('with --json a failure is one line of JSON on standard error, and commands without a result print one', () => {
    const { status, stdout, stderr } = run('ls', 'enc', '-k', 'gone', '--json');
    expect([status, stdout, JSON.parse(stderr)]).toEqual([
      10,
      '',
      {
        error: {
          code: 'bad-key-file',
          exitCode: 10,
          message: 'cannot read key file gone: no such file or directory',
          advice: 'Make a key file with `ckptfs keygen -o FILE`.',
          path: 'gone',
        },
      },
    ]);
    expect(JSON.parse(run('frob', '--json').stderr)).toMatchObject({ error: { code: 'bad-argument', exitCode: 2 } });
    expect(JSON.parse(run('keygen', '-o', 'json-key', '--json').stdout)).toEqual({ keyFile: 'json-key', bits: 256 });
    expect(run('keygen', '--json')).toMatchObject({ status: 2, stdout: '' });
    const made = JSON.parse(run('encrypt', 'src', 'json-enc', ...key, '--json').stdout);
    expect(Object.keys(made).sort()).toEqual(['cipher', 'fileBytes', 'files', 'imageId', 'losses', 'skipped', 'suite']);
    expect(made).toMatchObject({ files: 2, fileBytes: 3_000_004 });
  });

  test('help and version are commands, too', () => {
    expect(run('help', 'mount')).toEqual(run('mount', '--help'));
    expect(run('help')).toEqual(run('--help'));
    expect(run('version')).toEqual(run('--version'));
    const { stdout } = run('help', 'verify');
    expect(stdout.indexOf('--jobs')).toBeLessThan(stdout.indexOf('--quiet'));
  });

  test('help and version load no native code', () => {
    fs.writeFileSync(
      at('objects.cjs'),
      "process.on('exit', () => console.error(process.report.getReport().sharedObjects.filter((path) => path.includes('koffi')).length));",
    );
    const { stdout, stderr } = terminal.shell(`NODE_OPTIONS='--require ${at('objects.cjs')}' ckptfs --version`);
    expect([stdout.length > 0, stderr]).toEqual([true, '0\n']);
    expect(terminal.shell(`NODE_OPTIONS='--require ${at('objects.cjs')}' ckptfs info enc -k key`).stderr).toBe('1\n');
  });

  test('progress shows on a terminal, and nowhere else', () => {
    const { stdout } = terminal.shell(`script -qec "'${ckptfsProgram}' verify enc -k key" /dev/null`);
    expect(stdout).toMatch(/\rverifying \[[#-]{24}\] +\d+ % .* of 2\.9 MiB, .*\/s/);
    expect(stdout).toContain('\r\x1b[Kintact: 2 objects');
    const quiet = terminal.shell(`script -qec "'${ckptfsProgram}' verify enc -k key --quiet" /dev/null`);
    expect(quiet.stdout).not.toContain('verifying');
  });
});
