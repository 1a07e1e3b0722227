// Goal: mount, status, umount, exec and the helper of mount(8) do, print and refuse what docs/cli.md says.
// Method: the real commands and kernel mounts, with an image of a small tree.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { kill } from './support/children.ts';
import { ckptfsProgram, clear, until } from './support/mounts.ts';
import { runProgram } from './support/programs.ts';
import { describeIf, systemTest } from './support/requirements.ts';
import { failure, success, Terminal, type Transcript } from './support/transcript.ts';
import { usualTransport } from './support/transports.ts';

const base = fs.mkdtempSync(join(tmpdir(), 'ckptfs-cli-mount-'));
const terminal = new Terminal(base);
const at = (name: string): string => join(base, name);
const run = (...words: string[]): Transcript => terminal.runWithoutIds(...words);
const key = ['-k', 'key'];
const helper = fileURLToPath(new URL('../../scripts/mount.fuse.ckptfs', import.meta.url));

interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** Prints, as JSON, what Prometheus's own parser finds in a file. */
const PARSE_METRICS = `
import json, sys
from prometheus_client.parser import text_string_to_metric_families
families = text_string_to_metric_families(open(sys.argv[1]).read())
print(json.dumps([{'name': s.name, 'labels': s.labels, 'value': s.value} for f in families for s in f.samples]))
`;

beforeAll(() => {
  fs.mkdirSync(at('src'));
  fs.mkdirSync(at('mnt'));
  fs.writeFileSync(at('src/pages-1.img'), Buffer.alloc(1 << 20, 'pages'));
  fs.writeFileSync(at('src/core-1.img'), 'core');
  terminal.run('keygen', '-o', 'key');
  expect(run('encrypt', 'src', 'enc', ...key, '--quiet')).toEqual(success());
});

afterEach(() => clear(at('mnt')));
afterAll(() => fs.rmSync(base, { recursive: true }));

describeIf(['root', 'fuse'], 'mount, status, umount', () => {
  test('take relative paths; mount prints nothing, status shows the mount, umount ends it', () => {
    expect(run('mount', 'enc', 'mnt', ...key)).toEqual(success());
    expect(fs.readFileSync(at('mnt/core-1.img'), 'utf8')).toBe('core');
    const again = failure(34, `${at('mnt')} has a mount of ckptfs already. Unmount it first: ckptfs umount.`);
    expect(run('mount', 'enc', 'mnt', ...key)).toEqual(again);
    expect(run('mount', '--write', 'new', 'mnt', ...key)).toEqual(again);
    expect(fs.existsSync(at('new'))).toBe(false);
    const { stdout } = run('status');
    const [heading = '', ...rows] = stdout.trimEnd().split('\n');
    expect(heading.split(/ {2,}/)).toEqual([
      'MOUNT',
      'STATE',
      'IMAGE',
      'PID',
      'WORKERS',
      'UP',
      'REQUESTS',
      'SERVED',
      'CACHE HITS',
      'FAILURES',
    ]);
    const row = rows.find((line) => line.startsWith(`${at('mnt')} `));
    expect(row?.split(/ {2,}/).slice(1, 3)).toEqual(['serving', at('enc')]);
    expect(row).toMatch(/ 4 bytes .* 0$/);
    const mounts = JSON.parse(terminal.run('status', '--json').stdout) as { mountPoint: string; daemon: unknown }[];
    expect(mounts.find(({ mountPoint }) => mountPoint === at('mnt'))).toMatchObject({
      state: 'serving',
      source: at('enc'),
      daemon: { transport: usualTransport, counters: { bytesServed: 4, authenticationFailures: 0 } },
    });
    fs.symlinkSync('mnt', at('link'));
    expect(run('status', 'link', '--check').stdout.trimEnd().split('\n')).toHaveLength(2);
    runProgram('mount', '-t', 'tmpfs', 'tmpfs', at('mnt'));
    expect(run('status', 'link', '--check')).toMatchObject({
      status: 31,
      stderr: `ckptfs: ${at('mnt')} leads to a mount of type tmpfs, which hides the mount of ckptfs.\n`,
    });
    runProgram('umount', at('mnt'));
    expect(run('umount', 'mnt')).toEqual(success());
    expect(fs.readdirSync(at('mnt'))).toEqual([]);
    expect(run('status', 'mnt', '--check', '-q')).toEqual(failure(31, `${at('mnt')} is not a mount of ckptfs.`));
    expect(run('umount', 'mnt')).toEqual(
      failure(31, `${at('mnt')} is not a mount of ckptfs: nothing is mounted there.`),
    );
  });

  systemTest(['prometheus'], 'print metrics that Prometheus reads', () => {
    expect(run('mount', 'enc', 'mnt', ...key)).toEqual(success());
    expect(fs.readFileSync(at('mnt/core-1.img'), 'utf8')).toBe('core');
    fs.writeFileSync(at('metrics'), terminal.run('status', '--prometheus').stdout);
    const metrics = JSON.parse(runProgram('/usr/bin/python3', '-c', PARSE_METRICS, at('metrics'))) as Sample[];
    const ofMount = metrics.filter(({ labels }) => labels['mount_point'] === at('mnt'));
    expect(ofMount).toContainEqual({
      name: 'ckptfs_mount_info',
      labels: expect.objectContaining({ state: 'serving', image: at('enc'), write: 'false' }),
      value: 1,
    });
    expect(ofMount.find(({ name }) => name === 'ckptfs_mount_served_bytes_total')?.value).toBe(4);
    expect(run('umount', 'mnt')).toEqual(success());
  });

  test('report what makes a mount impossible before anything is mounted', () => {
    expect(run('mount', 'enc', 'gone', ...key)).toEqual(failure(30, `the mount point ${at('gone')} does not exist.`));
    expect(run('mount', 'enc', 'key', ...key)).toEqual(failure(30, `the mount point ${at('key')} is not a directory.`));
    expect(run('mount', 'src', 'mnt', ...key).status).toBe(20);
    expect(run('mount', 'enc', 'mnt', ...key, '--workers', '65')).toEqual(
      failure(2, '--workers 65: it is a number from 1 to 64. See "ckptfs mount --help".'),
    );
    expect(run('mount', 'enc', 'mnt', ...key, '--cache-size', 'lots')).toEqual(
      failure(2, '--cache-size lots: it is a number of bytes, such as 67108864, 64M or 1G. See "ckptfs mount --help".'),
    );
    const { status, stderr } = run('mount', 'enc', 'mnt', '-o', 'keyfile=key');
    expect([status, stderr]).toEqual([
      2,
      expect.stringMatching(/^ckptfs: mount option keyfile=key: it is not known\. Known are key_file=FILE, .*\n$/),
    ]);
    expect(fs.readdirSync(at('mnt'))).toEqual([]);
  });

  test('report a log that the daemon cannot open as well', () => {
    // The daemon has no terminal of its own.
    const line = `'${ckptfsProgram}' mount enc mnt -k key --log-file /dev/tty`;
    expect(terminal.shell(`script -qec "${line}" /dev/null`)).toEqual({
      status: 3,
      stdout: 'ckptfs: cannot open the log /dev/tty: ENXIO.\r\n',
      stderr: '',
    });
    expect(fs.readdirSync(at('mnt'))).toEqual([]);
  });

  test('leave a mount that is in use, and name its user; --lazy detaches it', async () => {
    run('mount', 'enc', 'mnt', ...key);
    const user = spawn('sleep', ['100'], { cwd: at('mnt') });
    try {
      expect(run('umount', 'mnt')).toEqual(
        failure(
          32,
          `${at('mnt')} is in use by sleep (pid N). End what uses it and try again, or unmount it lazily (ckptfs umount --lazy).`,
        ),
      );
      const { status, stderr } = run('umount', 'mnt', '--lazy');
      expect([status, stderr]).toEqual([
        0,
        'ckptfs: warning: the daemon still runs, because the mount is in use; its keys are wiped when that ends\n',
      ]);
    } finally {
      await kill(user);
    }
  });

  test('take every option by -o, as in fstab', () => {
    const options = `rw,nofail,key_file=${at('key')},workers=1,cache_size=1M,allow_other,scratch`;
    const { status, stdout } = run('mount', 'enc', 'mnt', '-o', options, '--json');
    expect([status, JSON.parse(stdout)]).toMatchObject([0, { mountPoint: at('mnt'), imageId: 'ID' }]);
    fs.writeFileSync(at('mnt/restore.log'), 'scratch');
    const mounts = JSON.parse(terminal.run('status', '--json').stdout) as { mountPoint: string; daemon: unknown }[];
    expect(mounts.find(({ mountPoint }) => mountPoint === at('mnt'))).toMatchObject({
      scratch: true,
      daemon: { workers: 1 },
    });
    expect(run('umount', 'mnt')).toEqual(success());
  });

  test('serve in the foreground until a signal, log to standard error, and keep the pid', async () => {
    const log = fs.openSync(at('foreground.log'), 'w');
    const options = { cwd: base, env: terminal.environment, stdio: ['ignore', 'ignore', log] as const };
    const daemon = spawn(ckptfsProgram, ['mount', '-f', 'enc', 'mnt', ...key], {
      ...options,
      stdio: ['ignore', 'ignore', log],
    });
    fs.closeSync(log);
    await until('the mount serves', () => fs.existsSync(at('mnt/core-1.img')));
    const mounts = JSON.parse(terminal.run('status', '--json').stdout) as {
      mountPoint: string;
      pid: number;
    }[];
    expect(mounts.find(({ mountPoint }) => mountPoint === at('mnt'))?.pid).toBe(daemon.pid);
    expect(await kill(daemon)).toEqual([0, null]);
    const lines = fs.readFileSync(at('foreground.log'), 'utf8').trimEnd().split('\n');
    expect(lines[0]).toMatch(/^\S+Z ckptfs\[\d+\]: info: serving /);
    expect(lines.at(-1)).toContain('is unmounted; keys and cached plaintext are wiped');
    expect(run('mount', '-f', 'enc', 'gone', ...key)).toMatchObject({
      status: 30,
      stderr: expect.stringContaining('does not exist'),
    });
  });
});

describeIf(['root', 'fuse', 'namespaces'], 'exec', () => {
  test('the command sees the image, no other process does, and its exit code comes back', () => {
    expect(run('exec', 'enc', ...key, '--', 'cat', '{}/core-1.img')).toEqual(success('core'));
    expect(run('exec', 'enc', ...key, '--', 'sh', '-c', 'ls -A $1; exit 7', 'sh', '{}')).toEqual({
      status: 7,
      stdout: 'core-1.img\npages-1.img\n',
      stderr: '',
    });
    expect(run('exec', 'enc', ...key, '--', 'sh', '-c', 'kill -9 $$')).toMatchObject({ status: 137 });
  });

  test('exec ends with 125 when it fails itself', () => {
    expect(run('exec', 'enc', ...key)).toEqual(
      failure(125, 'no command is given. It comes after "--": ckptfs exec ENC -- COMMAND {}.'),
    );
    expect(run('exec', 'gone', ...key, '--', 'true')).toMatchObject({ status: 125 });
    expect(run('exec', 'enc', ...key, '--', 'no-such-program')).toEqual(
      failure(125, 'cannot run no-such-program: no such file or directory.'),
    );
    expect(run('exec', '--frob')).toMatchObject({ status: 125 });
  });
});

describeIf(['root', 'fuse', 'namespaces'], 'the helper of mount(8)', () => {
  /** Runs in a mount namespace of its own, where the helper is in /sbin. */
  const withHelper = (line: string): Transcript =>
    terminal.shell(`
      mkdir -p sbin && ln -sf '${helper}' sbin/mount.fuse.ckptfs && ln -sf '${process.execPath}' sbin/node
      unshare --mount bash -c 'sbin=$(readlink -f /sbin); mount -t overlay -o lowerdir=$PWD/sbin:$sbin overlay $sbin && ${line}'`);

  test('serves mount -t, umount and a line of fstab', () => {
    expect(
      withHelper('mount -t fuse.ckptfs enc mnt -o key_file=$PWD/key,allow_other && cat mnt/core-1.img && umount mnt'),
    ).toEqual(success('core'));
    fs.writeFileSync(
      at('fstab'),
      `${at('enc')} ${at('mnt')} fuse.ckptfs noauto,user,nofail,x-test=1,key_file=${at('key')} 0 0\n`,
    );
    expect(withHelper('mount -T fstab mnt && cat mnt/core-1.img && umount mnt')).toEqual(success('core'));
  });

  test('ends with the exit codes of mount(8)', () => {
    const call = (words: string): Transcript => terminal.shell(`'${helper}' ${words}`);
    expect(call('enc mnt -o key_file=gone')).toMatchObject({
      status: 32,
      stderr: expect.stringMatching(/^ckptfs: cannot read key file gone: /),
    });
    expect(call('enc mnt -o keyfile=key')).toMatchObject({ status: 1 });
    expect(call('enc')).toMatchObject({ status: 1, stderr: expect.stringContaining('usage: ') });
    expect(call('enc mnt -x')).toMatchObject({ status: 1 });
    expect(call('enc mnt -N 1')).toMatchObject({ status: 1 });
    expect(call('enc mnt -f -o key_file=gone')).toEqual(success());
  });

  test('accepts every option that mount(8) passes, and names that look like options', () => {
    expect(
      terminal.shell(
        `cp -r enc -- -enc; '${helper}' -enc mnt -snv -o rw -o key_file=key -t fuse.ckptfs && cat mnt/core-1.img`,
      ),
    ).toEqual(success('core'));
  });
});
