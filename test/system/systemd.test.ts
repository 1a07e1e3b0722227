// Goal: a mount in the foreground tells its service manager when it serves, seals and ends; the units are right.
// Method: a program listens as a service manager does, beside the real command.
import { type ChildProcess, spawn } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { endOf, kill } from './support/children.ts';
import { ckptfs } from './support/ckptfs.ts';
import { ckptfsProgram, clear, mountOn, start, statusOf, until } from './support/mounts.ts';
import { runProgram } from './support/programs.ts';
import { describeIf, systemTest, toolEnvironment } from './support/requirements.ts';

const receiver = fileURLToPath(new URL('support/notify_socket.py', import.meta.url));
const units = fileURLToPath(new URL('../../docs/systemd/', import.meta.url));
const names = fs.readdirSync(units, { recursive: true, encoding: 'utf8' }).filter((name) => name.includes('.'));

/** As docs/operating.md has it. */
const MAX_EXPOSURE = 4;

let base: string;
const at = (name: string): string => join(base, name);
const running: ChildProcess[] = [];

beforeEach(() => {
  base = fs.realpathSync(fs.mkdtempSync(join(tmpdir(), 'ckptfs-systemd-')));
  for (const name of ['mnt', 'outer', 'src']) fs.mkdirSync(at(name));
  fs.writeFileSync(at('src/pages.img'), 'pages');
  ckptfs('keygen', '-o', at('key'));
});

afterEach(async () => {
  for (const name of ['mnt', 'outer']) clear(at(name));
  for (const child of running.splice(0)) await kill(child, 'SIGKILL');
  fs.rmSync(base, { recursive: true });
});

/** What a service manager heard, and from which process. */
interface Heard {
  readonly pid: number;
  readonly lines: readonly string[];
}

/** A service manager that listens at a socket. */
async function listen(name: string): Promise<() => Heard[]> {
  const output = at('heard');
  running.push(start(output, 'python3', receiver, name));
  const lines = (): string[] => fs.readFileSync(output, 'utf8').split('\n').slice(0, -1);
  await until('the socket is there', () => lines().length > 0);
  return () =>
    lines()
      .slice(1)
      .map((line) => JSON.parse(line) as Heard);
}

/** A mount in the foreground, as a service manager starts it. */
function serve(socket: string, ...words: readonly string[]): ChildProcess {
  const log = fs.openSync(at('log'), 'w');
  const child = spawn(ckptfsProgram, ['mount', '-f', at('enc'), at('mnt'), '-k', at('key'), ...words], {
    env: { ...toolEnvironment, NOTIFY_SOCKET: socket },
    stdio: ['ignore', 'ignore', log],
  });
  fs.closeSync(log);
  running.push(child);
  return child;
}

const status = (text: string): string => `STATUS=${text}`;

describeIf(['root', 'fuse', 'python'], 'a service manager', () => {
  test.each([
    ['a path', () => at('notify')],
    ['an abstract name', () => `@ckptfs-test-${process.pid}`],
  ])('that listens at %s hears when the mount serves, and when it ends', async (_, nameOf) => {
    ckptfs('encrypt', at('src'), at('enc'), '-k', at('key'), '-q');
    const heard = await listen(nameOf());
    const child = serve(nameOf());
    const { pid = 0 } = child;
    await until('the manager hears of it', () => heard().length > 0);
    // By then it answers: nothing waits for it in between.
    expect(fs.readFileSync(at('mnt/pages.img'), 'utf8')).toBe('pages');
    expect(heard()).toEqual([{ pid, lines: ['READY=1', status(`serving ${at('enc')} on ${at('mnt')}`)] }]);
    expect(fs.readFileSync(`/proc/${pid}/environ`, 'utf8')).not.toContain('NOTIFY_SOCKET');
    process.kill(pid, 'SIGTERM');
    expect(await endOf(child)).toEqual([0, null]);
    await until('the manager hears of the end', () => heard().length > 1);
    expect(heard().slice(1)).toEqual([{ pid, lines: ['STOPPING=1', status(`${at('mnt')} is unmounted`)] }]);
  });

  test('hears of sealing', async () => {
    const heard = await listen(at('notify'));
    const child = serve(at('notify'), '--write');
    const { pid = 0 } = child;
    await until('the manager hears of it', () => heard().length > 0);
    fs.writeFileSync(at('mnt/a'), 'content');
    process.kill(pid, 'SIGTERM');
    expect(await endOf(child)).toEqual([0, null]);
    await until('the manager hears of the end', () => heard().length > 1);
    expect(heard()).toEqual([
      { pid, lines: ['READY=1', status(`serving and writing ${at('enc')} on ${at('mnt')}`)] },
      { pid, lines: ['STOPPING=1', status(`unmounted; sealing ${at('enc')}`)] },
    ]);
    expect(ckptfs('cat', at('enc'), 'a', '-k', at('key'))).toBe('content');
  });

  test('that is busy with a mount which is in use hears that it ends only when it does', async () => {
    ckptfs('encrypt', at('src'), at('enc'), '-k', at('key'), '-q');
    const heard = await listen(at('notify'));
    const child = serve(at('notify'));
    const { pid = 0 } = child;
    await until('the manager hears of it', () => heard().length > 0);
    const fd = fs.openSync(at('mnt/pages.img'), 'r');
    try {
      process.kill(pid, 'SIGTERM');
      await until('it is refused', () => fs.readFileSync(at('log'), 'utf8').includes('a second signal detaches it'));
      expect(heard()).toHaveLength(1);
    } finally {
      fs.closeSync(fd);
    }
    process.kill(pid, 'SIGTERM');
    expect(await endOf(child)).toEqual([0, null]);
    await until('the manager hears of the end', () => heard().length > 1);
    expect(heard()).toHaveLength(2);
  });

  test('hears that a directory is watched, and what was taken from it', async () => {
    fs.mkdirSync(at('archives'));
    runProgram('tar', '-C', at('src'), '-cf', at('archives/one.tar'), '.');
    fs.writeFileSync(at('archives/two.tar'), 'no archive');
    const heard = await listen(at('notify'));
    const words = ['watch', at('archives'), '--into', at('images'), '-k', at('key')];
    const child = spawn(ckptfsProgram, words, {
      env: { ...toolEnvironment, NOTIFY_SOCKET: at('notify') },
      stdio: 'ignore',
    });
    running.push(child);
    const { pid = 0 } = child;
    await until('the manager hears what was taken', () => heard().length > 1);
    process.kill(pid, 'SIGTERM');
    expect(await endOf(child)).toEqual([0, null]);
    await until('the manager hears of the end', () => heard().length > 2);
    const summary = status(`watching ${at('archives')}: 1 archive taken, 1 left in clear`);
    expect(heard()).toEqual([
      { pid, lines: ['READY=1', status(`watching ${at('archives')}`)] },
      { pid, lines: [summary] },
      { pid, lines: ['STOPPING=1', summary] },
    ]);
  });

  test('that does not listen is a warning, and the mount serves', async () => {
    ckptfs('encrypt', at('src'), at('enc'), '-k', at('key'), '-q');
    for (const [name, reason] of [
      [at('nobody'), 'ENOENT: sendto'],
      ['vsock:2:1234', 'its address is neither a path nor an abstract name'],
      [`/${'n'.repeat(200)}`, 'its address is too long'],
    ] as const) {
      const child = serve(name);
      const { pid = 0 } = child;
      await until('it is logged', () => fs.readFileSync(at('log'), 'utf8').includes(reason));
      expect(fs.readFileSync(at('mnt/pages.img'), 'utf8')).toBe('pages');
      process.kill(pid, 'SIGTERM');
      expect(await endOf(child)).toEqual([0, null]);
    }
  });

  systemTest(
    ['strace'],
    'is known to no program that a command starts, and not to a daemon in the background',
    async () => {
      ckptfs('encrypt', at('src'), at('stored'), '-k', at('key'), '-q');
      // Of a path into a mount a child asks whether it answers.
      fs.mkdirSync(at('src/enc'));
      fs.cpSync(at('stored'), at('src/enc'), { recursive: true });
      ckptfs('encrypt', at('src'), at('enc'), '-k', at('key'), '-q');
      mountOn(at('outer'), { source: at('src'), image: at('enc'), keyFile: at('key') });
      const mount = [ckptfsProgram, 'mount', at('outer/enc'), at('mnt'), '-k', at('key'), '--log-file', at('log')];
      const trace = ['-f', '-v', '-qq', '-s', '4096', '-e', 'trace=execve', '-o', at('trace')];
      const tracer = spawn('strace', [...trace, ...mount], {
        env: { ...toolEnvironment, NOTIFY_SOCKET: at('notify') },
        stdio: 'ignore',
      });
      running.push(tracer);
      await until('the mount serves', () => statusOf(at('mnt'))?.state === 'serving');
      ckptfs('umount', at('mnt'));
      // It traces the daemon as well, and ends with it.
      await endOf(tracer);
      const started = fs
        .readFileSync(at('trace'), 'utf8')
        .split('\n')
        .filter((line) => /execve\(.*\) = 0$/.test(line));
      // env(1) has it among its arguments, the daemon in its environment.
      const isDaemon = (line: string): boolean => /execve\("[^"]+\/node", .*"CKPTFS_LAUNCHED=9"/.test(line);
      const isOurs = (line: string): boolean => line.includes(`"${ckptfsProgram}"`) && !isDaemon(line);
      expect(started.filter((line) => line.includes('"/bin/sh"')).length).toBeGreaterThan(0);
      expect(started.filter(isDaemon)).toHaveLength(1);
      expect(started.filter((line) => line.includes('NOTIFY_SOCKET') && !isOurs(line))).toEqual([]);
    },
  );
});

describe('units', () => {
  test('are there', () => {
    const services = ['metrics', 'watch@', 'write@'].map((name) => `ckptfs-${name}.service`);
    expect(names.sort()).toEqual(
      [...services, 'ckptfs-metrics.timer', 'ckptfs@.service', 'user/ckptfs@.service'].sort(),
    );
  });

  systemTest(['systemdAnalyze'], 'are what systemd understands', () => {
    fs.mkdirSync(at('user'));
    for (const name of names) {
      const text = fs.readFileSync(join(units, name), 'utf8');
      fs.writeFileSync(at(name), text.replaceAll('/usr/local/bin/ckptfs', ckptfsProgram));
    }
    for (const name of names) {
      const unit = at(name.replace('@', '@mnt-cr'));
      if (name.includes('@')) fs.copyFileSync(at(name), unit);
      // It prints what it does not know, and exits with 0 all the same.
      expect(runProgram('sh', '-c', `systemd-analyze verify --man=no '${unit}' 2>&1`), name).toBe('');
    }
  });

  systemTest(['systemdAnalyze'], 'expose no more than what a mount that others see needs', () => {
    // It exits with another code above the threshold, which is in tenths of what it prints.
    const bound = ['security', '--offline=yes', `--threshold=${MAX_EXPOSURE * 10}`, '--no-pager'];
    // A mount by fusermount3, which an ordinary user makes, cannot be kept from anything.
    const services = names.filter((name) => name.endsWith('.service') && !name.startsWith('user/'));
    for (const name of services) runProgram('systemd-analyze', ...bound, join(units, name));
  });
});
