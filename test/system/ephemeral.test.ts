// Goal: nothing on the disk opens what an ephemeral mount has, neither while it is used nor after, however it ends.
// Method: the image is on a disk of its own, whose raw bytes are searched; copies of it are given to every command that
// could open them.
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ckptfs, isMounted, runCkptfs } from './support/ckptfs.ts';
import { until } from './support/mounts.ts';
import { runProgram } from './support/programs.ts';
import { describeIf } from './support/requirements.ts';

let base: string;
const at = (...names: string[]): string => join(base, ...names);
const MADE = ['mount', '--write', '--ephemeral'];

beforeEach(() => {
  base = fs.realpathSync(fs.mkdtempSync(join(tmpdir(), 'ckptfs-ephemeral-')));
  fs.mkdirSync(at('mnt'));
  fs.mkdirSync(at('disk'));
  fs.writeFileSync(at('device'), '');
  fs.truncateSync(at('device'), 32 << 20);
  runProgram('mkfs.ext4', '-q', at('device'));
  // By `sync`, or what is removed soon would never be written.
  runProgram('mount', '-o', 'loop,sync', at('device'), at('disk'));
});
afterEach(() => {
  for (const path of [at('mnt'), at('disk')]) if (isMounted(path)) runProgram('umount', path);
  fs.rmSync(base, { recursive: true });
});

/** Mounts it, and returns the pid of the daemon. */
function mounted(): number {
  const made = ckptfs(...MADE, at('disk', 'enc'), at('mnt'), '--json', '--log-file', at('log'));
  return (JSON.parse(made) as { pid: number }).pid;
}

describeIf(['root', 'fuse', 'loop'], 'an ephemeral mount', () => {
  test('is opened by nothing while it is used, after it was killed, and after it was unmounted', async () => {
    const contents = `contents-${Math.random()}`;
    const daemon = mounted();
    fs.mkdirSync(at('mnt', `name-${contents}`));
    fs.writeFileSync(at('mnt', `name-${contents}`, 'file'), contents.repeat(10_000), { flush: true });
    expect(JSON.parse(ckptfs('status', '--json'))).toContainEqual(
      expect.objectContaining({ mountPoint: at('mnt'), daemon: expect.objectContaining({ ephemeral: true }) }),
    );
    expect(runCkptfs('remount', at('mnt'), '-k', at('key'))).toMatchObject({
      status: 2,
      stderr: `ckptfs: ${at('mnt')} is ephemeral: what is on it is gone when it is unmounted.\n`,
    });
    ckptfs('keygen', '-o', at('key'));
    fs.cpSync(at('disk', 'enc'), at('copied'), { recursive: true });
    process.kill(daemon, 'SIGKILL');
    await until('the daemon is gone', () => runCkptfs('umount', at('mnt')).status !== 0 && !isMounted(at('mnt')));
    const [copied, left] = [at('copied'), at('disk', 'enc')];
    for (const words of [
      ['mount', copied, at('mnt'), '-k', at('key')],
      ['mount', '--write', left, at('mnt'), '-k', at('key')],
      ['seal', left, '-k', at('key')],
      ['recover', copied, '-k', at('key')],
      ['key', 'list', left],
      ['info', copied],
    ]) {
      const { status, stderr } = runCkptfs(...words);
      expect([words, status]).toEqual([words, 20]);
      expect(stderr).toMatch(
        /: image [0-9a-f]{32} is ephemeral, made at \S+: its key was never stored, so nothing opens/,
      );
    }
    // Another one takes its place, and is removed when it is unmounted.
    mounted();
    expect(fs.readdirSync(at('mnt'))).toEqual([]);
    ckptfs('umount', at('mnt'));
    expect(fs.readdirSync(at('disk', 'enc'))).toEqual([]);
    fs.rmdirSync(at('disk', 'enc'));
    mounted();
    fs.writeFileSync(at('mnt', 'file'), contents);
    expect(JSON.parse(ckptfs('umount', at('mnt'), '--json'))).toMatchObject({
      ephemeral: true,
      sealed: false,
      wiped: true,
    });
    expect(fs.readdirSync(at('disk'))).toEqual(['lost+found']);
    runProgram('umount', at('disk'));
    expect(fs.readFileSync(at('device')).includes(contents)).toBe(false);
  });

  test('of exec ends as the command does, and leaves nothing', () => {
    const words = ['exec', '--write', '--ephemeral', at('disk', 'enc'), '--json', '--'];
    const { status, stdout } = runCkptfs(...words, 'sh', '-c', 'echo content > {}/a && cat {}/a && exit 3');
    expect([status, stdout.split('\n')[0]]).toEqual([3, 'content']);
    expect(fs.readdirSync(at('disk'))).toEqual(['lost+found']);
  });

  test('is not made where something is, nor with a key', () => {
    expect(runCkptfs(...MADE, at('disk'), at('mnt'), '-k', at('key'))).toMatchObject({
      status: 2,
      stderr: expect.stringMatching(/^ckptfs: --key-file: an ephemeral mount has a key in memory alone/),
    });
    expect(runCkptfs('mount', at('disk', 'enc'), at('mnt'), '-o', 'ephemeral').status).toBe(2);
    fs.mkdirSync(at('disk', 'enc'), { mode: 0o700 });
    fs.writeFileSync(at('disk', 'enc', 'mine'), '');
    expect(runCkptfs(...MADE, at('disk', 'enc'), at('mnt')).stderr).toMatch(/is not empty: it has mine/);
    expect(fs.readdirSync(at('disk', 'enc'))).toEqual(['mine']);
  });
});
