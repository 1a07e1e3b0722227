// Goal: `ckptfs exec` shows a mount to one command and to no other process; scratch space goes with its mount.
// Method: real commands in real mount namespaces, ended in every way.
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect } from 'vitest';
import { kill } from './support/children.ts';
import { ckptfs, isMounted, runCkptfs } from './support/ckptfs.ts';
import {
  ckptfsProgram,
  clear,
  type Encrypted,
  encryptInto,
  isAlive,
  logOf,
  mountOn,
  start,
  statusOf,
  until,
} from './support/mounts.ts';
import { runProgram } from './support/programs.ts';
import { describeIf, systemTest } from './support/requirements.ts';

/** Daemons of a private mount: what `ckptfs status` sees of them. */
function privateMounts(image: string): { pid: number; mountPoint: string }[] {
  const all = JSON.parse(ckptfs('status', '--json')) as {
    state: string;
    pid: number;
    source: string;
    mountPoint: string;
  }[];
  return all.filter(({ state, source }) => state === 'elsewhere' && source === image);
}

describeIf(['root', 'fuse', 'namespaces'], 'ckptfs exec', () => {
  const base = fs.realpathSync(fs.mkdtempSync(join(tmpdir(), 'ckptfs-exec-test-')));
  let encrypted: Encrypted;
  beforeAll(() => {
    fs.mkdirSync(join(base, 'source'));
    fs.writeFileSync(join(base, 'source', 'file'), 'contents');
    encrypted = encryptInto(base, join(base, 'source'));
  });
  afterAll(() => fs.rmSync(base, { recursive: true }));

  const exec = (...command: string[]) =>
    runCkptfs('exec', encrypted.image, '--key-file', encrypted.keyFile, '--', ...command);

  systemTest([], 'gives the command the mount for {}, alone or within an argument', async () => {
    const result = exec(
      'sh',
      '-c',
      'cat "$1"; echo " $2"; grep -c fuse.ckptfs /proc/self/mounts; true',
      'sh',
      '{}/file',
      '-D{}',
    );
    expect(result.stderr).toBe('');
    expect(result.stdout).toMatch(/^contents -D\/\S+\n0\n$/);
    expect(result.status).toBe(0);
    const mountPoint = /-D(\S+)/.exec(result.stdout)?.[1] ?? '';
    expect(fs.existsSync(mountPoint)).toBe(false);
    await until('its daemon has ended', () => privateMounts(encrypted.image).length === 0);
  });

  systemTest([], 'ends as the command ends', () => {
    expect(exec('sh', '-c', 'exit 7').status).toBe(7);
    expect(exec('true').status).toBe(0);
    expect(exec('sh', '-c', 'kill -KILL $$').status).toBe(137);
    const none = exec('no-such-program-here');
    expect(none.status).not.toBe(0);
    expect(none.stderr).toMatch(/cannot run no-such-program-here/);
  });

  systemTest([], 'shows its mount to no other process, and passes signals on', async () => {
    const output = join(base, 'output');
    const script = 'trap "echo got TERM; exit 3" TERM; echo {}; while :; do sleep 0.1; done';
    const args = ['exec', encrypted.image, '--key-file', encrypted.keyFile, '--', 'sh', '-c', script];
    const process = start(output, ckptfsProgram, ...args);
    await until('the command runs', () => fs.readFileSync(output, 'utf8').includes('\n'));
    // A way in for root through the descriptor of ckptfs, and in no mount table.
    expect(fs.readdirSync(fs.readFileSync(output, 'utf8').trim())).toEqual(['file']);
    const [mountPoint = ''] = privateMounts(encrypted.image).map((one) => one.mountPoint);
    expect(isMounted(mountPoint)).toBe(false);
    expect(fs.readdirSync(mountPoint)).toEqual([]);
    expect(await kill(process)).toEqual([3, null]);
    expect(fs.readFileSync(output, 'utf8')).toContain('got TERM');
    await until('its daemon has ended', () => privateMounts(encrypted.image).length === 0);
  });

  systemTest([], 'that is killed takes its daemon along', async () => {
    const output = join(base, 'killed');
    const args = [
      'exec',
      encrypted.image,
      '--key-file',
      encrypted.keyFile,
      '--',
      'sh',
      '-c',
      'echo {} $$; exec sleep 60',
    ];
    const process_ = start(output, ckptfsProgram, ...args);
    await until('the command runs', () => fs.readFileSync(output, 'utf8').includes('\n'));
    const [, sleeper] = fs.readFileSync(output, 'utf8').trim().split(' ');
    const { pid: daemon, mountPoint } = privateMounts(encrypted.image)[0] ?? { pid: 0, mountPoint: '' };
    expect(isAlive(daemon)).toBe(true);
    process_.kill('SIGKILL');
    await until('the daemon has ended', () => !isAlive(daemon));
    process.kill(Number(sleeper), 'SIGKILL');
    fs.rmdirSync(mountPoint);
  });
});

describeIf(['root', 'fuse'], 'a mount with scratch space', () => {
  const base = fs.realpathSync(fs.mkdtempSync(join(tmpdir(), 'ckptfs-scratch-test-')));
  const mountPoint = join(base, 'mnt');
  let encrypted: Encrypted;
  beforeAll(() => {
    const source = join(base, 'source');
    fs.mkdirSync(join(source, 'dir'), { recursive: true, mode: 0o750 });
    fs.writeFileSync(join(source, 'file'), 'contents');
    fs.writeFileSync(join(source, 'dir', 'deep'), 'deeper');
    fs.chownSync(source, 12, 34);
    fs.chmodSync(source, 0o751);
    fs.utimesSync(source, 1e9, 1e9);
    encrypted = encryptInto(base, source);
    fs.mkdirSync(mountPoint);
  });
  afterEach(() => clear(mountPoint));
  afterAll(() => fs.rmSync(base, { recursive: true }));

  const hiddenDirectories = () => fs.readdirSync('/run/ckptfs').filter((name) => name.startsWith('scratch-'));

  for (const [way, end] of [
    ['umount', () => runProgram('umount', mountPoint)],
    ['ckptfs umount', () => ckptfs('umount', mountPoint)],
  ] as const) {
    systemTest([], `takes new and changed files, and is gone whole by ${way}`, async () => {
      const hidden = hiddenDirectories();
      const mounted = mountOn(mountPoint, encrypted, '--scratch', '--allow-other');
      expect(fs.statSync(mountPoint)).toMatchObject({ mode: 0o40751, uid: 12, gid: 34, mtimeMs: 1e12 });
      runProgram('diff', '-r', join(base, 'source'), mountPoint);
      fs.writeFileSync(join(mountPoint, 'restore.log'), 'new');
      fs.appendFileSync(join(mountPoint, 'file'), ' and more');
      fs.rmSync(join(mountPoint, 'dir'), { recursive: true });
      expect(fs.readdirSync(mountPoint).sort()).toEqual(['file', 'restore.log']);
      expect(fs.readFileSync(join(mountPoint, 'file'), 'utf8')).toBe('contents and more');
      expect(statusOf(mountPoint)).toMatchObject({ scratch: true, state: 'serving', source: encrypted.image });
      expect(hiddenDirectories()).toEqual(hidden);
      end();
      await until('the daemon has ended', () => !isAlive(mounted.pid));
      expect(logOf(mounted).at(-1)).toContain('wiped');
      expect(fs.readdirSync(mountPoint)).toEqual([]);

      mountOn(mountPoint, encrypted, '--scratch');
      expect(fs.statSync(mountPoint)).toMatchObject({ mode: 0o40700, uid: 0, gid: 0, mtimeMs: 1e12 });
      runProgram('diff', '-r', join(base, 'source'), mountPoint);
      ckptfs('umount', mountPoint);
    });
  }

  systemTest([], 'leaves no file and no mount when it cannot be made', () => {
    const mounts = () =>
      fs
        .readFileSync('/proc/self/mountinfo', 'utf8')
        .split('\n')
        .filter((line) => /scratch-|- overlay ckptfs/.test(line));
    const before = mounts();
    const hidden = hiddenDirectories();
    const result = runCkptfs('mount', encrypted.image, encrypted.keyFile, '--key-file', encrypted.keyFile, '--scratch');
    expect(result.status).not.toBe(0);
    mountOn(mountPoint, encrypted, '--scratch');
    const again = runCkptfs('mount', encrypted.image, mountPoint, '--key-file', encrypted.keyFile, '--scratch');
    expect(again.stderr).toMatch(/has a mount of ckptfs already/);
    ckptfs('umount', mountPoint);
    expect(mounts()).toEqual(before);
    expect(hiddenDirectories()).toEqual(hidden);
  });

  systemTest(['namespaces'], 'shows nothing of how it is made to mount namespaces that follow this one', () => {
    // As on a host with systemd, where all mounts are shared and containers get them as slaves.
    const script = `
      unshare --mount --propagation slave sh -c 'echo ready; exec sleep 60' > ${base}/ready & follower=$!
      until grep -q ready ${base}/ready; do sleep 0.05; done
      "$@" && cp /proc/$follower/mountinfo ${base}/while && umount ${mountPoint} && cp /proc/$follower/mountinfo ${base}/after
      result=$?; kill $follower; exit $result`;
    const mount = [ckptfsProgram, 'mount', encrypted.image, mountPoint, '--key-file', encrypted.keyFile, '--scratch'];
    runProgram('unshare', '--mount', '--propagation', 'shared', 'sh', '-c', script, 'sh', ...mount);
    const seen = ['while', 'after'].map((when) =>
      fs
        .readFileSync(join(base, when), 'utf8')
        .split('\n')
        .flatMap((line) => / - ((?:fuse|overlay|tmpfs ckptfs)\S*)/.exec(line)?.[1] ?? []),
    );
    expect(seen).toEqual([['overlay'], []]);
  });
});
