// Goal: a daemon serves on when the mount namespace in which it was started ends.
// Method: real daemons in real mount namespaces.
import { type ChildProcess, spawn } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, expect } from 'vitest';
import { firstOutput, kill } from './support/children.ts';
import { ckptfs, isMounted } from './support/ckptfs.ts';
import {
  ckptfsProgram,
  clear,
  type Encrypted,
  isAlive,
  logOf,
  type Mounted,
  statusOf,
  until,
} from './support/mounts.ts';
import { runProgram } from './support/programs.ts';
import { describeIf, systemTest } from './support/requirements.ts';

/** A part of what `ckptfs status --json` prints. */
type State = 'serving' | 'elsewhere' | undefined;

describeIf(['root', 'fuse', 'namespaces'], 'a daemon that was started in a mount namespace that ends', () => {
  const root = fs.realpathSync(fs.mkdtempSync(join(tmpdir(), 'ckptfs-namespace-test-')));
  let base: string;
  let mountPoint: string;
  let image: Encrypted;
  let rounds = 0;
  const members: ChildProcess[] = [];

  beforeEach(() => {
    base = join(root, String(rounds++));
    mountPoint = join(base, 'mnt');
    fs.mkdirSync(mountPoint, { recursive: true });
    image = { source: mountPoint, image: join(base, 'enc'), keyFile: join(base, 'key') };
    ckptfs('keygen', '-o', image.keyFile);
  });
  afterEach(() => {
    for (const member of members.splice(0)) member.kill('SIGKILL');
  });
  afterAll(() => fs.rmSync(root, { recursive: true }));

  /** Starts the first process of a new mount namespace. */
  async function newNamespace(...options: readonly string[]): Promise<ChildProcess> {
    return started('unshare', '--mount', ...options, '--', 'sh', '-c', 'echo; exec sleep infinity');
  }

  /** Starts something that says a line when it runs. */
  async function started(program: string, ...args: readonly string[]): Promise<ChildProcess> {
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    members.push(child);
    await firstOutput(child);
    return child;
  }

  const within = ({ pid }: ChildProcess, ...words: readonly string[]): string =>
    runProgram('nsenter', '--target', String(pid), '--mount', ...words);

  function mountWithin(member: ChildProcess, ...options: readonly string[]): Mounted {
    const { image: enc, keyFile } = image;
    const words = ['mount', enc, mountPoint, '-k', keyFile, '--log-file', `${enc}.log`, '--json', ...options];
    return JSON.parse(within(member, ckptfsProgram, ...words)) as Mounted;
  }

  const write = (member: ChildProcess, text: string): string =>
    within(member, 'sh', '-c', `printf ${text} >"$1"`, 'sh', join(mountPoint, 'file'));

  async function ends(child: ChildProcess): Promise<void> {
    await kill(child, 'SIGKILL');
  }

  async function sealsWith(mounted: Mounted, text: string): Promise<void> {
    await until('the daemon has ended', () => !isAlive(mounted.pid));
    expect(logOf(mounted).at(-1)).toContain('wiped');
    expect(ckptfs('cat', image.image, 'file', '-k', image.keyFile)).toBe(text);
    expect(socketsOf(mounted)).toEqual([]);
  }

  const socketsOf = ({ pid }: Mounted): string[] =>
    fs.readdirSync('/run/ckptfs').filter((name) => name.endsWith(`-${pid}.sock`));

  const stateOutside = (): State => statusOf(mountPoint)?.state as State;

  systemTest([], 'seals when the last process of the namespace is gone', async () => {
    const first = await newNamespace('--propagation', 'private');
    const mounted = mountWithin(first, '--write');
    write(first, 'text');
    expect(isMounted(mountPoint)).toBe(false);
    expect(stateOutside()).toBe('elsewhere');
    expect(statusOf(mountPoint, within(first, ckptfsProgram, 'status', '--json'))).toMatchObject({
      state: 'serving',
      pid: mounted.pid,
      source: image.image,
    });
    await ends(first);
    await sealsWith(mounted, 'text');
  });

  systemTest([], 'is in it with none of its threads, and holds none of its mounts', async () => {
    const first = await newNamespace();
    const { pid } = mountWithin(first, '--write');
    const threads = fs.readdirSync(`/proc/${pid}/task`);
    const namespaces = new Set(threads.map((thread) => fs.readlinkSync(`/proc/${pid}/task/${thread}/ns/mnt`)));
    expect(namespaces.size).toBe(1);
    expect(namespaces.has(fs.readlinkSync(`/proc/${first.pid}/ns/mnt`))).toBe(false);
    expect(namespaces.has(fs.readlinkSync('/proc/self/ns/mnt'))).toBe(false);
    const held = fs.readdirSync(`/proc/${pid}/fd`).map((fd) => fs.readlinkSync(`/proc/${pid}/fd/${fd}`));
    expect(held.filter((target) => target.startsWith('mnt:'))).toEqual([...namespaces]);
    const other = join(base, 'other');
    fs.mkdirSync(other);
    const words = [join(base, 'enc2'), other, '-k', image.keyFile, '--log-file', join(base, 'log2')];
    within(first, ckptfsProgram, 'mount', ...words, '--write');
    within(first, ckptfsProgram, 'umount', mountPoint);
    expect(isAlive(pid)).toBe(false);
    const { pid: last } = statusOf(other) ?? {};
    await ends(first);
    await until('the other daemon has ended', () => !isAlive(last ?? 0));
  });

  systemTest([], 'serves on while another process is in the namespace', async () => {
    const first = await newNamespace();
    const mounted = mountWithin(first, '--write');
    write(first, 'one');
    const second = await started(
      'nsenter',
      '--target',
      String(first.pid),
      '--mount',
      'sh',
      '-c',
      'echo; exec sleep 600',
    );
    await ends(first);
    write(second, 'two');
    expect(stateOutside()).toBe('elsewhere');
    await ends(second);
    await sealsWith(mounted, 'two');
  });

  systemTest([], 'serves on for what uses the mount from outside', async () => {
    const first = await newNamespace();
    const mounted = mountWithin(first, '--write');
    const file = join(`/proc/${first.pid}/root`, mountPoint, 'file');
    const fd = fs.openSync(file, 'w');
    await ends(first);
    fs.writeSync(fd, 'late');
    expect(isAlive(mounted.pid)).toBe(true);
    fs.closeSync(fd);
    await sealsWith(mounted, 'late');
  });

  systemTest([], 'lives on outside when mounts are shared with there', async () => {
    runProgram('mount', '--bind', base, base);
    try {
      runProgram('mount', '--make-shared', base);
      const first = await newNamespace('--propagation', 'unchanged');
      const mounted = mountWithin(first, '--write');
      write(first, 'shared');
      await ends(first);
      expect(statusOf(mountPoint)).toMatchObject({ state: 'serving', pid: mounted.pid });
      fs.appendFileSync(join(mountPoint, 'file'), ' more');
      ckptfs('umount', mountPoint);
      await sealsWith(mounted, 'shared more');
    } finally {
      clear(mountPoint);
      runProgram('umount', '--lazy', base);
    }
  });

  for (const [way, ...options] of [['umount'], ['umount --lazy', '--lazy']] as const) {
    systemTest([], `seals by ${way} from inside`, async () => {
      const first = await newNamespace();
      const mounted = mountWithin(first, '--write');
      write(first, 'text');
      within(first, ckptfsProgram, 'umount', ...options, mountPoint);
      await sealsWith(mounted, 'text');
    });
  }

  systemTest([], 'unmounts by a signal, and detaches by a second one', async () => {
    const first = await newNamespace();
    const mounted = mountWithin(first, '--write');
    write(first, 'text');
    const user = await started(
      ...['nsenter', '--target', String(first.pid), '--mount'],
      ...['sh', '-c', 'exec 3>>"$1"; printf more >&3; echo; exec sleep 600', 'sh', join(mountPoint, 'file')],
    );
    process.kill(mounted.pid, 'SIGTERM');
    const refusal = (): string | undefined => logOf(mounted).find((line) => line.includes('in use'));
    await until('the daemon says why it does not', () => refusal() !== undefined);
    expect(refusal()).toContain(`(pid ${user.pid})`);
    process.kill(mounted.pid, 'SIGTERM');
    await until('the mount is out of sight', () => !within(first, 'cat', '/proc/self/mountinfo').includes(mountPoint));
    expect(isAlive(mounted.pid)).toBe(true);
    await ends(user);
    await sealsWith(mounted, 'textmore');
  });

  systemTest([], 'takes scratch space along', async () => {
    const first = await newNamespace();
    ckptfs('encrypt', fs.mkdtempSync(join(base, 'source-')), image.image, '-k', image.keyFile, '--quiet');
    const mounted = mountWithin(first, '--scratch');
    write(first, 'text');
    expect(within(first, 'cat', join(mountPoint, 'file'))).toBe('text');
    await ends(first);
    await until('the daemon has ended', () => !isAlive(mounted.pid));
    expect(logOf(mounted).at(-1)).toContain('wiped');
  });

  systemTest([], 'is followed by one that only reads, by remount', async () => {
    const first = await newNamespace();
    const mounted = mountWithin(first, '--write');
    write(first, 'text');
    within(first, ckptfsProgram, 'remount', mountPoint, '-k', image.keyFile);
    await until('the writer has ended', () => !isAlive(mounted.pid));
    expect(within(first, 'cat', join(mountPoint, 'file'))).toBe('text');
    const reader = statusOf(mountPoint)?.pid ?? 0;
    await ends(first);
    await until('the reader has ended', () => !isAlive(reader));
  });

  systemTest([], 'names who has the image', async () => {
    const first = await newNamespace();
    ckptfs('encrypt', fs.mkdtempSync(join(base, 'source-')), image.image, '-k', image.keyFile, '--quiet');
    const mounted = mountWithin(first);
    const second = await newNamespace();
    const words = [image.image, mountPoint, '-k', image.keyFile, '--log-file', join(base, 'log2')];
    expect(() => within(second, ckptfsProgram, 'mount', ...words, '--write')).toThrow(`read by process ${mounted.pid}`);
    await ends(first);
    await until('the daemon has ended', () => !isAlive(mounted.pid));
  });

  systemTest([], 'keeps to the namespace where it can make none of its own', async () => {
    const first = await newNamespace();
    // Without this capability no process may change to another root directory.
    const without = ['setpriv', '--bounding-set', '-sys_chroot', '--inh-caps', '-sys_chroot'];
    const words = ['mount', image.image, mountPoint, '-k', image.keyFile, '--log-file', `${image.image}.log`, '--json'];
    const mounted = JSON.parse(within(first, ...without, ckptfsProgram, ...words, '--write')) as Mounted;
    expect(fs.readlinkSync(`/proc/${mounted.pid}/ns/mnt`)).toBe(fs.readlinkSync(`/proc/${first.pid}/ns/mnt`));
    write(first, 'text');
    await ends(first);
    process.kill(mounted.pid, 'SIGTERM');
    await sealsWith(mounted, 'text');
  });

  systemTest([], 'that serves in the foreground stays there', async () => {
    const first = await newNamespace();
    const log = fs.openSync(join(base, 'log'), 'w');
    const words = ['mount', '-f', image.image, mountPoint, '-k', image.keyFile, '--write'];
    const daemon = spawn('nsenter', ['--target', String(first.pid), '--mount', ckptfsProgram, ...words], {
      stdio: ['ignore', log, log],
    });
    fs.closeSync(log);
    members.push(daemon);
    await until('it serves', () => fs.readFileSync(join(base, 'log'), 'utf8').includes('serving'));
    write(first, 'text');
    await ends(first);
    expect(isAlive(daemon.pid ?? 0)).toBe(true);
    expect(await kill(daemon)).toEqual([0, null]);
    expect(ckptfs('cat', image.image, 'file', '-k', image.keyFile)).toBe('text');
  });
});
