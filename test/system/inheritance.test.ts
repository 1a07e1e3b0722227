// Goal: a daemon keeps no descriptor and no directory of its caller.
// Method: real commands are started with files open, and in a directory that was removed.
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect } from 'vitest';
import { endOf } from './support/children.ts';
import { ckptfs } from './support/ckptfs.ts';
import { ckptfsProgram, clear, type Encrypted, encryptInto, statusOf, until } from './support/mounts.ts';
import { PATIENCE } from './support/patience.ts';
import { describeIf, systemTest, toolEnvironment } from './support/requirements.ts';

const base = fs.realpathSync(fs.mkdtempSync(join(tmpdir(), 'ckptfs-inherit-')));
const mountPoint = join(base, 'mnt');
let encrypted: Encrypted;

beforeAll(() => {
  fs.mkdirSync(join(base, 'source'));
  fs.mkdirSync(mountPoint);
  fs.writeFileSync(join(base, 'source', 'inventory.img'), 'contents');
  encrypted = encryptInto(base, join(base, 'source'));
});
afterEach(() => clear(mountPoint));
afterAll(() => fs.rmSync(base, { recursive: true }));

/** Runs a command of ours in a shell that has files open as descriptors on both sides of Node's own. */
function withDescriptors(...command: readonly string[]) {
  const options = { env: toolEnvironment, encoding: 'utf8', timeout: PATIENCE } as const;
  return spawnSync('bash', withDescriptorsArguments('"$@"', command), options);
}

function withDescriptorsArguments(run: string, command: readonly string[]): string[] {
  const open = `exec 9>"$0/fd-9" 20>"$0/fd-20" 200>"$0/fd-200"; ${run}`;
  return ['-c', open, base, ckptfsProgram, ...command];
}

/** Those files of a process, by the names of its descriptors. */
function inheritedBy(pid: number | string): string[] {
  const directory = `/proc/${pid}/fd`;
  return fs.readdirSync(directory).flatMap((fd) => {
    const target = fs.readlinkSync(join(directory, fd));
    return target.startsWith(join(base, 'fd-')) ? [target] : [];
  });
}

describeIf(['root', 'fuse'], "a caller's descriptors", () => {
  for (const options of [[], ['--scratch'], ['--write']]) {
    systemTest([], `are not kept by the daemon of mount ${options.join(' ')}`, () => {
      const mounted = withDescriptors('mount', encrypted.image, mountPoint, '-k', encrypted.keyFile, ...options);
      expect(mounted).toMatchObject({ status: 0, stderr: '' });
      expect(inheritedBy(statusOf(mountPoint)?.pid ?? '')).toEqual([]);
      ckptfs('umount', mountPoint);
    });
  }

  systemTest([], 'are not kept by a daemon in the foreground', async () => {
    const command = ['mount', '-f', encrypted.image, mountPoint, '-k', encrypted.keyFile];
    const daemon = spawn('bash', withDescriptorsArguments(`exec "$@"`, command), { env: toolEnvironment });
    await until('it is mounted', () => statusOf(mountPoint)?.state === 'serving');
    expect(statusOf(mountPoint)?.pid).toBe(daemon.pid);
    expect(inheritedBy(daemon.pid ?? '')).toEqual([]);
    // Its own child has ended, and was waited for.
    await until(
      'no child is left',
      () => fs.readFileSync(`/proc/${daemon.pid}/task/${daemon.pid}/children`, 'utf8') === '',
    );
    ckptfs('umount', mountPoint);
    expect(await endOf(daemon)).toEqual([0, null]);
  });

  systemTest([], 'are not passed on to the command of exec, nor is what is ours', () => {
    const command = ['bash', '-c', 'ls /proc/self/fd'];
    const run = withDescriptors('exec', encrypted.image, '-k', encrypted.keyFile, '--', ...command);
    // The last one is that of ls itself.
    expect(run).toMatchObject({ status: 0, stderr: '', stdout: '0\n1\n2\n3\n' });
  });
});

describeIf(['root', 'fuse'], 'in a directory that was removed', () => {
  /** Runs a command there. */
  function run(...command: readonly string[]) {
    const remove = 'mkdir "$0/gone" && cd "$0/gone" && rmdir "$0/gone" && "$@"';
    const options = { env: toolEnvironment, encoding: 'utf8', timeout: PATIENCE } as const;
    const { status, stdout, stderr } = spawnSync('bash', ['-c', remove, base, ...command], options);
    return { status, stdout, stderr };
  }

  /** What the shell that starts ckptfs says there about itself, whatever it is to run. */
  const ofShell = (): string => run('sh', '-c', ':').stderr;

  systemTest([], 'every command works with absolute paths', () => {
    const { image, keyFile, source } = encrypted;
    const key = ['-k', keyFile];
    const [again, copy] = [join(base, 'again'), join(base, 'copy')];
    const written = join(base, 'written');
    for (const command of [
      ['--help'],
      ['mount', '--help'],
      ['--version'],
      ['status'],
      ['doctor'],
      ['keygen'],
      ['encrypt', source, again, ...key],
      ['info', again, ...key],
      ['ls', again, ...key],
      ['cat', again, 'inventory.img', ...key],
      ['verify', again, ...key],
      ['decrypt', again, copy, ...key],
      ['mount', again, mountPoint, ...key],
      ['umount', mountPoint],
      ['mount', image, mountPoint, ...key, '--scratch'],
      ['umount', mountPoint],
      ['mount', '--write', written, mountPoint, ...key],
      ['umount', mountPoint],
      ['seal', written, ...key],
      ['recover', written, ...key],
      ['exec', image, ...key, '--', 'cat', '{}/inventory.img'],
    ]) {
      expect({ command, ...run(ckptfsProgram, ...command) }).toMatchObject({ command, status: 0, stderr: ofShell() });
    }
  });

  systemTest([], 'relative paths are refused in one line', () => {
    const { image, keyFile } = encrypted;
    for (const command of [
      ['encrypt', 'source', image, '-k', keyFile],
      ['mount', 'enc', mountPoint, '-k', keyFile],
      ['mount', image, 'mnt', '-k', keyFile],
      ['mount', image, mountPoint, '-k', 'key'],
      ['umount', 'mnt'],
      ['info', 'enc'],
      ['keygen', '-o', 'key'],
    ]) {
      const { status, stderr } = run(ckptfsProgram, ...command);
      expect(stderr.startsWith(ofShell())).toBe(true);
      expect({ command, status, stderr: stderr.slice(ofShell().length) }).toEqual({
        command,
        status: 2,
        stderr: expect.stringMatching(/^ckptfs: \w+ is a relative path, and the current directory was removed\..*\n$/),
      });
    }
  });
});
