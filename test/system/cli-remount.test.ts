// ckptfs remount: from written to mounted read-only in one step.
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { kill } from './support/children.ts';
import { asNobody, ckptfsProgram, clear, withFuseForAll } from './support/mounts.ts';
import { PATIENCE } from './support/patience.ts';
import { describeIf } from './support/requirements.ts';
import { failure, success, Terminal, type Transcript } from './support/transcript.ts';

let base: string;
let terminal: Terminal;
const at = (name: string): string => join(base, name);
const run = (...words: string[]): Transcript => terminal.runWithoutIds(...words);
const key = ['-k', 'key'];

beforeEach(() => {
  base = fs.realpathSync(fs.mkdtempSync(join(tmpdir(), 'ckptfs-remount-')));
  terminal = new Terminal(base);
  fs.mkdirSync(at('mnt'));
  terminal.run('keygen', '-o', 'key');
});

afterEach(() => {
  clear(at('mnt'));
  fs.rmSync(base, { recursive: true });
});

function writable(...options: string[]): void {
  expect(run('mount', '--write', 'enc', 'mnt', ...key, '-q', ...options)).toEqual(success());
  fs.writeFileSync(at('mnt/a'), 'content');
}

describeIf(['root', 'fuse'], 'remount', () => {
  test('seals, and mounts read-only with the same options at the same place', () => {
    writable('--allow-other', '-o', 'noexec,fsname=of a,cache_size=1M', '--log-file', 'log');
    const { stdout } = terminal.run('remount', 'mnt', ...key, '--json');
    expect(JSON.parse(stdout)).toMatchObject({ mountPoint: at('mnt'), logFile: at('log') });
    expect(fs.readFileSync(at('mnt/a'), 'utf8')).toBe('content');
    expect(() => fs.writeFileSync(at('mnt/a'), '')).toThrow(expect.objectContaining({ code: 'EROFS' }));
    const line = fs
      .readFileSync('/proc/self/mountinfo', 'utf8')
      .split('\n')
      .find((one) => one.includes(at('mnt')));
    expect(line).toMatch(/ ro,\S*noexec.* of\\040a ro,.*allow_other/);
    expect(run('remount', 'mnt', ...key)).toEqual(failure(2, `${at('mnt')} is mounted read-only already.`));
    const unmounted = JSON.parse(terminal.run('umount', 'mnt', '--json').stdout);
    expect(unmounted).toEqual({ mountPoint: at('mnt'), write: false, ephemeral: false, sealed: true, wiped: true });
    expect(run('verify', 'enc', ...key)).toMatchObject({ status: 0 });
    expect(run('remount', 'mnt', ...key)).toMatchObject({ status: 31 });
  });

  test('is refused for the mount of another user, root included', async () => {
    for (const path of [base, at('mnt'), at('key')]) fs.chownSync(path, 65_534, 65_534);
    const [program, ...words] = asNobody(base);
    const mount = ['mount', '--write', at('enc'), at('mnt'), '-k', at('key')];
    const { status, stderr } = await withFuseForAll(() =>
      spawnSync(program, [...words, ckptfsProgram, ...mount], { cwd: base, encoding: 'utf8', timeout: PATIENCE }),
    );
    expect([status, stderr]).toEqual([0, '']);
    const refusal = `${at('mnt')} is a mount of user 65534, who alone can remount it.`;
    expect(run('remount', 'mnt', ...key)).toEqual(failure(2, refusal));
    expect(run('status')).toMatchObject({ status: 0, stdout: expect.stringContaining(at('mnt')) });
    expect(run('umount', 'mnt')).toEqual(success());
  });

  test('leaves the mount as it is with a wrong key, and while it is in use', async () => {
    writable();
    terminal.run('keygen', '-o', 'wrong');
    expect(run('remount', 'mnt', '-k', 'wrong')).toMatchObject({ status: 12 });
    const user = spawn('sleep', ['100'], { cwd: at('mnt') });
    try {
      expect(run('remount', 'mnt', ...key)).toMatchObject({ status: 32, stderr: expect.stringContaining('sleep') });
    } finally {
      await kill(user);
    }
    fs.writeFileSync(at('mnt/b'), 'more');
    expect(run('remount', 'mnt', ...key)).toEqual(success());
    expect(fs.readFileSync(at('mnt/b'), 'utf8')).toBe('more');
    expect(run('umount', 'mnt')).toEqual(success());
  });

  test('reports which of its two halves failed', () => {
    writable();
    fs.mkdirSync(at('enc/manifest.new/x'), { recursive: true });
    expect(run('remount', 'mnt', ...key)).toMatchObject({ stderr: expect.stringContaining('is left unsealed: ') });
    fs.rmSync(at('enc/manifest.new'), { recursive: true });
    expect(run('mount', '--write', 'enc', 'mnt', ...key, '--log-file', 'log')).toEqual(success());
    fs.renameSync(at('log'), at('log.moved'));
    fs.mkdirSync(at('log'));
    const { status, stderr } = run('remount', 'mnt', ...key);
    expect([status, stderr]).toEqual([3, expect.stringContaining('image ID is sealed, but not mounted again: ')]);
    expect(run('cat', 'enc', 'a', ...key)).toEqual(success('content'));
  });
});
