// Goal: no command waits for ever for a daemon that does not answer, calls it dead, or believes another user's.
// Method: real daemons are stopped; fake ones of other users pretend to be at work.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect } from 'vitest';
import type { MountStatus } from '../../src/serve/control/status.ts';
import { endOf, firstOutput } from './support/children.ts';
import { ckptfs, isMounted, runCkptfs } from './support/ckptfs.ts';
import {
  asNobody,
  ckptfsProgram,
  clear,
  type Encrypted,
  encryptInto,
  isAlive,
  mountNew,
  mountOn,
  statusOf,
  until,
  withFuseForAll,
} from './support/mounts.ts';
import { PATIENCE } from './support/patience.ts';
import { runProgram } from './support/programs.ts';
import { describeIf, systemTest, toolEnvironment } from './support/requirements.ts';

const base = fs.realpathSync(fs.mkdtempSync(join(tmpdir(), 'ckptfs-silent-')));
const mountPoint = join(base, 'mnt');
const stopped: number[] = [];
const children: ChildProcess[] = [];
let encrypted: Encrypted;

/** Stops a process until the test is over, or {@link resume}. */
function stop(pid: number): void {
  process.kill(pid, 'SIGSTOP');
  stopped.push(pid);
}

function hasOpen({ pid }: ChildProcess, path: string): boolean {
  const descriptors = fs.readdirSync(`/proc/${pid}/fd`).map((name) => `/proc/${pid}/fd/${name}`);
  return descriptors.some((link) => {
    try {
      return fs.readlinkSync(link) === path;
    } catch {
      return false;
    }
  });
}

function resume(): void {
  for (const pid of stopped.splice(0)) if (isAlive(pid)) process.kill(pid, 'SIGCONT');
}

describeIf(['root', 'fuse'], 'commands beside a daemon that does not answer', () => {
  beforeAll(() => {
    fs.chmodSync(base, 0o755);
    fs.mkdirSync(join(base, 'source'));
    fs.writeFileSync(join(base, 'source', 'pages-1.img'), Buffer.alloc(1 << 20, 'pages'));
    encrypted = encryptInto(base, join(base, 'source'));
  });
  afterEach(() => {
    resume();
    for (const child of children.splice(0)) child.kill('SIGKILL');
    clear(mountPoint);
  });
  afterAll(() => fs.rmSync(base, { recursive: true }));

  systemTest([], 'show it as silent, refuse its mount point, and unmount it', async () => {
    const { pid } = mountOn(mountPoint, encrypted);
    // From within, where yargs and Node look around. They go there before, as that alone would wait.
    const within = [['status'], ['--help'], ['--get-yargs-completions', 'ckptfs', 'umount', '']].map((args) => {
      const command = ['-c', 'read _; exec "$@"', 'sh', ckptfsProgram, ...args];
      const child = spawn('sh', command, { cwd: mountPoint, stdio: ['pipe', 'ignore', 'ignore'] });
      children.push(child);
      return child;
    });
    stop(pid);
    expect(statusOf(mountPoint)).toMatchObject({ state: 'silent', pid });
    expect(ckptfs('status')).toMatch(new RegExp(` silent +\\S+ +${pid} +- `));
    const again = runCkptfs('mount', encrypted.image, mountPoint, '--key-file', encrypted.keyFile);
    expect(again).toMatchObject({ stderr: expect.stringContaining('has a mount of ckptfs already') });
    expect(again.status).not.toBe(0);
    for (const child of within) {
      child.stdin?.end('\n');
      expect(await endOf(child)).toEqual([0, null]);
    }
    const result = runCkptfs('umount', mountPoint);
    expect(result.stderr).toMatch(new RegExp(`is unmounted, but its daemon \\(pid ${pid}\\) is stopped or frozen`));
    expect(result.status).toBe(35);
    expect(isMounted(mountPoint)).toBe(false);
    expect(isAlive(pid)).toBe(true);
    resume();
    await until('the daemon has ended', () => !isAlive(pid));
  });

  systemTest([], 'tell one whose socket is gone from one that is dead', async () => {
    const [{ image, keyFile }, { pid }] = mountNew(fs.mkdtempSync(join(base, 'hidden-')), mountPoint);
    fs.writeFileSync(join(mountPoint, 'file'), 'x');
    const socket = fs.readdirSync('/run/ckptfs').find((name) => name.endsWith(`-${pid}.sock`));
    fs.rmSync(join('/run/ckptfs', socket ?? ''));
    expect(statusOf(mountPoint)).toMatchObject({ state: 'silent', pid: null });
    const result = runCkptfs('umount', mountPoint);
    expect(result).toMatchObject({ status: 35, stderr: expect.stringContaining('its daemon cannot be asked') });
    await until('the daemon has ended', () => !isAlive(pid));
    expect(ckptfs('cat', image, 'file', '--key-file', keyFile)).toBe('x');
    const killed = mountOn(mountPoint, encrypted);
    process.kill(killed.pid, 'SIGKILL');
    await until('the daemon is dead', () => !isAlive(killed.pid));
    expect(statusOf(mountPoint)).toMatchObject({ state: 'dead', pid: null });
    ckptfs('umount', mountPoint);
  });

  systemTest([], 'let it seal what was written when it goes on', async () => {
    const own = fs.mkdtempSync(join(base, 'write-'));
    const [{ image, keyFile }, { pid }] = mountNew(own, mountPoint);
    fs.writeFileSync(join(mountPoint, 'file'), 'x');
    stop(pid);
    expect(runCkptfs('umount', mountPoint).status).toBe(35);
    // Its lock and its socket belong to no process.
    expect(runCkptfs('seal', image, '--key-file', keyFile).status).toBe(27);
    expect(fs.readdirSync('/run/ckptfs').some((name) => name.endsWith(`-${pid}.sock`))).toBe(true);
    resume();
    await until('the daemon has ended', () => !isAlive(pid));
    expect(ckptfs('cat', image, 'file', '--key-file', keyFile)).toBe('x');
  });

  systemTest([], 'wait for one that is only slow, and believe it', async () => {
    const own = fs.mkdtempSync(join(base, 'slow-'));
    const [{ image, keyFile }, { pid }] = mountNew(own, mountPoint);
    fs.writeFileSync(join(mountPoint, 'file'), 'x');
    stop(pid);
    const umount = spawn(ckptfsProgram, ['umount', mountPoint], { stdio: ['ignore', 'ignore', 'pipe'] });
    await until('it is unmounted', () => !isMounted(mountPoint));
    resume();
    expect(await endOf(umount)).toEqual([0, null]);
    expect(ckptfs('cat', image, 'file', '--key-file', keyFile)).toBe('x');
  });

  systemTest([], 'say that a path on its mount cannot be looked at, and end by a signal meanwhile', async () => {
    const { pid } = mountOn(mountPoint, encrypted);
    stop(pid);
    const args = ['encrypt', mountPoint, join(base, 'copy'), '--key-file', encrypted.keyFile];
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      const child = spawn(ckptfsProgram, args, { stdio: 'ignore' });
      children.push(child);
      // It has begun to wait when its child asks the mount.
      await until('it waits', () => fs.readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8') !== '');
      child.kill(signal);
      expect(await endOf(child)).toEqual([null, signal]);
    }
    const result = runCkptfs(...args);
    expect(result.status).toBe(35);
    expect(result.stderr).toContain(`on ${mountPoint} does not answer`);
    expect(fs.existsSync(join(base, 'copy'))).toBe(false);
    resume();
    ckptfs('umount', mountPoint);
  });

  systemTest(
    [],
    'end by a signal also when they come upon it on their way, and look at key files of -o first',
    async () => {
      const tree = fs.mkdtempSync(join(base, 'tree-'));
      const inside = join(tree, 'mnt');
      // Over io_uring no signal ends a process that waits: io-uring.test.ts shows what does.
      const { pid } = mountOn(inside, encrypted, '--transport', 'kernel');
      try {
        stop(pid);
        for (const signal of ['SIGTERM', 'SIGINT'] as const) {
          const child = spawn(ckptfsProgram, ['encrypt', tree, join(base, 'copy'), '--key-file', encrypted.keyFile], {
            stdio: 'ignore',
          });
          children.push(child);
          // What it opened it looks at next.
          await until('it waits for the mount', () => hasOpen(child, inside));
          child.kill(signal);
          expect(await endOf(child)).toEqual([null, signal]);
        }
        const keyFile = join(inside, 'key');
        const result = runCkptfs('mount', encrypted.image, mountPoint, '-o', `key_file=${keyFile}`);
        expect(result).toMatchObject({ status: 35, stderr: expect.stringContaining(`on ${inside} does not answer`) });
      } finally {
        resume();
        ckptfs('umount', inside);
      }
    },
  );

  systemTest(['namespaces'], 'name the pid that their own pid namespace has for it', async () => {
    const common = [
      encrypted.image,
      mountPoint,
      '--key-file',
      encrypted.keyFile,
      '--log-file',
      `${encrypted.image}.log`,
    ];
    const script = '"$@" > /dev/null && echo mounted && exec cat';
    const inner = ['sh', '-c', script, 'sh', ckptfsProgram, 'mount', ...common];
    const first = spawn('unshare', ['--pid', '--fork', '--kill-child', ...inner], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    children.push(first);
    await firstOutput(first);
    const pid = statusOf(mountPoint)?.pid ?? 0;
    expect(fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8')).toContain('/bin/ckptfs\0mount');
    const [program, ...args] = ['unshare', '--pid', '--fork', '--mount-proc', ckptfsProgram, 'status'] as const;
    expect(runProgram(program, ...args)).toMatch(/ serving +\S+ +hidden /);
    expect(statusOf(mountPoint, runProgram(program, ...args, '--json'))).toMatchObject({ state: 'serving', pid: null });
    ckptfs('umount', mountPoint);
    first.stdin.end();
    await endOf(first);
  });
});

/** Listens as a daemon of this user does, says all the time that it is at work, and never answers. */
const pretender = `
const fs = require('node:fs'); const net = require('node:net');
const server = net.createServer((caller) => {
  const chatter = setInterval(() => caller.write('{"event":"sealing"}\\n'), 100);
  caller.on('error', () => {}).on('close', () => clearInterval(chatter)).resume();
});
fs.mkdirSync(process.argv[1], { recursive: true, mode: 0o700 });
server.listen(process.argv[1] + '/' + process.argv[2], () => console.log('listening'));
`;

describeIf(['root', 'fuse', 'setpriv', 'fusermount'], "another user's pretended daemon", () => {
  const theirs = '/tmp/ckptfs-65534';
  let fake: ChildProcess | undefined;
  afterEach(() => {
    fake?.kill('SIGKILL');
    clear(mountPoint);
    fs.rmSync(theirs, { recursive: true, force: true });
  });

  async function pretend(name: string): Promise<void> {
    const [program, ...args] = asNobody(base);
    const command = [...args, process.execPath, '-e', pretender, theirs, name];
    fake = spawn(program, command, { stdio: ['ignore', 'pipe', 'inherit'] });
    await firstOutput(fake);
  }

  systemTest([], "does not hold up root's status", async () => {
    await pretend('0:424242-1.sock');
    const before = performance.now();
    const listed = JSON.parse(ckptfs('status', '--json')) as MountStatus[];
    // It waits for a few seconds; what is beyond that is the load of the machine.
    expect(performance.now() - before).toBeLessThan(120_000);
    expect(listed.filter(({ device }) => device === '0:424242')).toEqual([]);
  });

  systemTest([], "holds up root's umount of that user's mount for a bounded time", async () => {
    const home = fs.mkdtempSync(join(tmpdir(), 'ckptfs-theirs-'));
    const at = join(home, 'mnt');
    fs.mkdirSync(at);
    fs.mkdirSync(join(home, 'src'));
    runProgram('chown', '-R', '65534:65534', home);
    const run = (...command: string[]): string => runProgram(...asNobody(home), ...command);
    try {
      run(ckptfsProgram, 'keygen', '-o', join(home, 'k'));
      run(ckptfsProgram, 'encrypt', join(home, 'src'), join(home, 'enc'), '-k', join(home, 'k'));
      await withFuseForAll(async () => {
        const mounted = run(ckptfsProgram, 'mount', join(home, 'enc'), at, '-k', join(home, 'k'), '--json');
        const { pid } = JSON.parse(mounted) as { pid: number };
        const device = statusOf(at)?.device ?? '';
        process.kill(pid, 'SIGKILL');
        await until('the daemon is dead', () => !isAlive(pid));
        await pretend(`${device}-1.sock`);
        expect(statusOf(at)).toMatchObject({ state: 'silent', pid: expect.any(Number) });
        const before = performance.now();
        const result = runCkptfs('umount', at);
        // It waits for 30 seconds; what is beyond that is the load of the machine.
        expect(performance.now() - before).toBeLessThan(120_000);
        expect(result).toMatchObject({ status: 35, stderr: expect.stringContaining('the daemon of user 65534') });
        expect(isMounted(at)).toBe(false);
      });
    } finally {
      clear(at);
      fs.rmSync(home, { recursive: true });
    }
  });
});

describeIf(['root', 'fuse', 'setpriv', 'fusermount', 'namespaces'], 'a host without /etc/mtab', () => {
  systemTest([], 'lets an ordinary user unmount', () => {
    const home = fs.mkdtempSync(join(tmpdir(), 'ckptfs-mtab-'));
    const overlay = join(home, 'overlay');
    fs.mkdirSync(join(home, 'src'));
    fs.mkdirSync(join(home, 'mnt'));
    runProgram('chown', '-R', '65534:65534', home);
    fs.mkdirSync(overlay);
    const user = asNobody(home).join(' ');
    const script = `set -e
      mount -t tmpfs tmpfs ${overlay}; mkdir ${overlay}/up ${overlay}/work
      mount -t overlay overlay -o lowerdir=/etc,upperdir=${overlay}/up,workdir=${overlay}/work /etc
      rm -f /etc/mtab
      mknod ${overlay}/fuse c 10 229; chmod 666 ${overlay}/fuse; mount --bind ${overlay}/fuse /dev/fuse
      cd ${home}
      ${user} ${ckptfsProgram} keygen -o ${home}/k
      ${user} ${ckptfsProgram} encrypt ${home}/src ${home}/enc -k ${home}/k -q
      ${user} ${ckptfsProgram} mount ${home}/enc ${home}/mnt -k ${home}/k
      ! ${user} fusermount3 -u ${home}/mnt
      ${user} ${ckptfsProgram} umount ${home}/mnt
      ! grep -q ${home}/mnt /proc/self/mounts
      ${user} ${ckptfsProgram} mount ${home}/enc ${home}/mnt -k ${home}/k
      cd /; ${user} sh -c 'cd ${home}/mnt && { ${ckptfsProgram} umount ${home}/mnt; test $? = 32; }'
      ${user} ${ckptfsProgram} umount --lazy ${home}/mnt`;
    try {
      const args = ['--mount', '--propagation', 'private', 'bash', '-c', script];
      const result = spawnSync('unshare', args, { env: toolEnvironment, encoding: 'utf8', timeout: PATIENCE });
      expect(result.stderr + result.stdout).toContain('is in use');
      expect(result.status, result.stderr).toBe(0);
    } finally {
      fs.rmSync(home, { recursive: true });
    }
  });
});
