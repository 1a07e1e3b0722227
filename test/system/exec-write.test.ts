// ckptfs exec --write: mount, run a command that writes, seal or throw away, as one command.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { buildFixture, readState, waitForState } from './support/fixtures.ts';
import { ckptfsProgram, until } from './support/mounts.ts';
import { type CommandResult, type Namespace, openNamespace } from './support/namespace.ts';
import { PATIENCE } from './support/patience.ts';
import { describeIf, systemTest } from './support/requirements.ts';
import { failure, success, Terminal, type Transcript } from './support/transcript.ts';

let base: string;
let terminal: Terminal;
const at = (...names: string[]): string => join(base, ...names);
const run = (...words: string[]): Transcript => terminal.runWithoutIds(...words);
const key = ['-k', 'key'];

beforeEach(() => {
  base = fs.realpathSync(fs.mkdtempSync(join(tmpdir(), 'ckptfs-exec-write-')));
  terminal = new Terminal(base);
  terminal.run('keygen', '-o', 'key');
});

afterEach(() => fs.rmSync(base, { recursive: true }));

const keys = (): string[] => (fs.existsSync(at('config/ckptfs/keys')) ? fs.readdirSync(at('config/ckptfs/keys')) : []);

describeIf(['root', 'fuse', 'namespaces'], 'exec --write', () => {
  const write = (...words: string[]): Transcript => run('exec', '--write', 'enc', ...key, '--', ...words);

  test('makes an image and seals it, and leaves standard output to the command', () => {
    expect(write('sh', '-c', 'echo content > {}/a; echo done')).toEqual({
      status: 0,
      stdout: 'done\n',
      stderr: 'ckptfs: image ID: new, aes-256-xts, in enc\n',
    });
    expect(fs.readdirSync(at('enc')).sort()).toEqual(['ckptfs.json', 'manifest', 'objects']);
    expect(run('cat', 'enc', 'a', ...key)).toEqual(success('content\n'));
  });

  test('makes a key where none is given and names it, also with --quiet and another cipher', () => {
    const made = terminal.run('exec', '-w', '--cipher', 'none', 'enc', '--', 'touch', '{}/a');
    const [, path = ''] = /\nckptfs: key made: (\S+) \(keep a copy of it elsewhere\)\n$/.exec(made.stderr) ?? [];
    expect(fs.existsSync(path)).toBe(true);
    expect(run('ls', '-0', 'enc')).toEqual(success('a\0'));
    expect(run('info', 'enc').stdout).toMatch(/^cipher +none$/m);
    expect(run('exec', '-wq', 'second', '--', 'touch', '{}/a')).toEqual(success());
    expect(run('exec', '-w', '--cipher', 'none', 'enc', '--', 'true')).toEqual(
      failure(125, '--cipher is for a new image: enc exists already, and keeps its own.'),
    );
  });

  test('removes a new image and its key when the command fails, and ends as the command did', () => {
    const removed = 'ckptfs: warning: the command failed; the new image enc is removed again\n';
    const failing = run(
      'exec',
      '-w',
      'enc',
      '--',
      'sh',
      '-c',
      'echo a > {}/a; dd if=/dev/zero of={}/b bs=1M count=2 status=none; exit 7',
    );
    expect(failing).toEqual({ status: 7, stdout: '', stderr: removed });
    expect([fs.existsSync(at('enc')), keys()]).toEqual([false, []]);
    fs.mkdirSync(at('enc'));
    expect(write('sh', '-c', 'echo a > {}/a; kill -KILL $$')).toEqual({ status: 137, stdout: '', stderr: removed });
    expect(fs.readdirSync(at('enc'))).toEqual([]);
    expect(write('no-such-program')).toEqual(failure(125, 'cannot run no-such-program: no such file or directory.'));
    expect(fs.readdirSync(at('enc'))).toEqual([]);
  });

  test('continues an image, which is sealed even when the command fails, and reports that', () => {
    expect(write('sh', '-c', 'echo 1 > {}/a').status).toBe(0);
    expect(write('sh', '-c', 'echo 2 >> {}/a')).toEqual(success());
    expect(write('sh', '-c', 'echo 3 >> {}/a; exit 9')).toEqual({
      status: 9,
      stdout: '',
      stderr: 'ckptfs: warning: the command failed; what it wrote is sealed in enc\n',
    });
    expect(run('cat', 'enc', 'a', ...key)).toEqual(success('1\n2\n3\n'));
  });

  test('reports a seal that has to wait for processes that the command left running', async () => {
    // The shell opens the file, so that it is held before the shell can end.
    const held = write('sh', '-c', 'echo a > {}/a; exec 3< {}/a; sleep 60 > /dev/null 2>&1 & echo $! > pid');
    const pid = Number(fs.readFileSync(at('pid'), 'utf8'));
    try {
      expect(held.status).toBe(125);
      expect(held.stderr).toMatch(
        /not sealed yet, as the command left something running: .* in use by sleep \(pid N\)/,
      );
      expect(run('info', 'enc').stdout).toMatch(/^sealed +no: /m);
    } finally {
      process.kill(pid);
    }
    // The writer lets readers in a moment after it has removed its name.
    await until('the image is sealed, and lets readers in', () => run('cat', 'enc', 'a', ...key).status === 0);
    expect(run('cat', 'enc', 'a', ...key)).toEqual(success('a\n'));
  });

  test('reports a seal that fails as a failure of its own, and keeps the image to be sealed later', () => {
    // Sealing puts the manifest into place by this name.
    const block = `mkdir ${at('enc/manifest.new')} && touch ${at('enc/manifest.new/x')}`;
    const result = write('sh', '-c', `echo a > {}/a; ${block}`);
    expect(result.status).toBe(125);
    expect(result.stderr).toMatch(/enc is left unsealed: /);
    fs.rmSync(at('enc/manifest.new'), { recursive: true });
    expect(run('seal', 'enc', ...key)).toEqual(success('image ID: sealed\n'));
    expect(run('cat', 'enc', 'a', ...key)).toEqual(success('a\n'));
  });
});

describeIf(['root', 'fuse', 'namespaces'], 'the mount of exec', () => {
  const mounts = 'grep -c fuse.ckptfs /proc/self/mounts';

  beforeEach(() => {
    fs.mkdirSync(at('source'), { mode: 0o755 });
    fs.writeFileSync(at('source/a'), 'content');
    terminal.run('encrypt', 'source', 'enc', ...key);
  });

  test('is in no mount table that the command sees, and the command is where its caller is', () => {
    const line = `cat {}/a; pwd; readlink /proc/self/ns/mnt; ${mounts}`;
    const { stdout } = run('exec', 'enc', ...key, '--', 'sh', '-c', line);
    expect(stdout).toBe(`content${base}\n${fs.readlinkSync('/proc/self/ns/mnt')}\n0\n`);
  });

  test('with --private is an ordinary path, in a mount namespace of its own', () => {
    const line = `cat {}/a; pwd; echo {}; ${mounts}`;
    const { stdout } = run('exec', 'enc', ...key, '--private', '--', 'sh', '-c', line);
    expect(stdout).toMatch(new RegExp(`^content${base}\n\\S+/ckptfs-exec-\\w+\n1\n$`));
  });

  test('keeps a root directory that was changed', () => {
    // The same files, and one besides: other mounts of this host are put into the changed root as they are.
    const script = `
      mkdir upper work root && mount -t overlay -o lowerdir=/,upperdir=upper,workdir=work overlay root && echo inside > root/marker
      while read -r _ _ _ _ at _; do case $at in /|"$PWD"/*) ;; *) mount --bind "$at" "root$at" ;; esac; done < /proc/self/mountinfo
      chroot root "$@" cat /marker {}/a`;
    const exec = [process.execPath, ckptfsProgram, 'exec', at('enc'), '-k', at('key'), '--'];
    const { status, stdout, stderr } = spawnSync('unshare', ['--mount', 'bash', '-c', script, 'bash', ...exec], {
      cwd: base,
      timeout: PATIENCE,
      env: terminal.environment,
      encoding: 'utf8',
    });
    expect({ status, stdout, stderr }).toEqual(success('inside\ncontent'));
  });

  test('lets other users in with --allow-other, who need --private', () => {
    const reader = ['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups', 'cat', '{}/a'];
    expect(run('exec', 'enc', ...key, '--private', '--', ...reader).status).toBe(1);
    expect(run('exec', 'enc', ...key, '--private', '--allow-other', '--', ...reader)).toEqual(success('content'));
  });
});

describeIf(['root', 'fuse', 'namespaces', 'criu'], 'criu by exec', () => {
  const MEBIBYTES = 8;

  /** Runs criu on an image by exec, in a namespace. */
  function criu(namespace: Namespace, action: string, options: readonly string[], ...words: string[]): CommandResult {
    const log = at('work', `${action}.log`);
    const command = ['criu', action, '-D', '{}', '-W', at('work'), '-o', log, ...words];
    return namespace.run(ckptfsProgram, 'exec', at('enc'), '-k', at('key'), ...options, '--', ...command);
  }

  systemTest([], 'dumps a process outside into a new image, restores it, and throws a failed dump away', async () => {
    fs.mkdirSync(at('work'));
    const stateFile = at('state');
    const command = buildFixture('counter', { directory: base, stateFile, mebibytes: MEBIBYTES });
    const first = await openNamespace();
    try {
      expect(criu(first, 'dump', ['--write', '-q'], '-t', '4194303').status).not.toBe(0);
      expect(fs.existsSync(at('enc'))).toBe(false);
      const pid = first.launch(...command);
      await waitForState(stateFile, (state) => state.passes >= 1);
      // Compressed as well: criu must not notice.
      const how = ['--write', '-q', '--compress', 'auto'];
      expect(criu(first, 'dump', how, '-t', String(pid))).toEqual({ status: 0, stdout: '', stderr: '' });
    } finally {
      await first.close();
    }
    const names = run('ls', 'enc', '-0', ...key).stdout.split('\0');
    expect(names).toContain('inventory.img');
    // Or criu would have taken the process for one in a mount namespace of its own.
    expect(names.filter((name) => name.startsWith('mountpoints'))).toEqual([]);
    expect(run('verify', 'enc', ...key).status).toBe(0);
    const { passes } = readState(stateFile) ?? { passes: 0 };
    const second = await openNamespace();
    try {
      second.run('sh', '-c', 'echo 1000 > /proc/sys/kernel/ns_last_pid');
      expect(criu(second, 'restore', [], '-d')).toMatchObject({ status: 0, stderr: '' });
      const state = await waitForState(stateFile, (now) => now.passes >= passes + 2);
      expect(state.damaged).toEqual([]);
    } finally {
      await second.close();
    }
  });
});
