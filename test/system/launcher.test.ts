// Goal: the shell that starts a plain mount behaves like the command; a mount that no process waits for is ended.
// Method: real mounts; launchers are killed, their pipes and streams are taken away, and memory is searched.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { createDecipheriv } from 'node:crypto';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, expect } from 'vitest';
import { readHeader } from '../../src/image/read/image.ts';
import { readKeyFile } from '../../src/keys/key-file.ts';
import { unwrapFromSlot } from '../../src/keys/slots/aes-key-wrap.ts';
import { PASSED_ON } from '../../src/serve/launch/daemon-program.ts';
import { LocalStore } from '../../src/stores/local-store.ts';
import { foundInMemory, type Needles } from '../support/memory.ts';
import { firstOutput, kill } from './support/children.ts';
import { ckptfs, isMounted, runCkptfs } from './support/ckptfs.ts';
import { ckptfsProgram, clear, type Encrypted, encryptInto, isAlive, mountOn, until } from './support/mounts.ts';
import { PATIENCE } from './support/patience.ts';
import { describeIf, systemTest, toolEnvironment } from './support/requirements.ts';

const lingering = fileURLToPath(new URL('support/launched-mount.mjs', import.meta.url));

/** The processes that have a word among their arguments, but not those that are about to become another program. */
function processesWith(word: string): number[] {
  return fs
    .readdirSync('/proc')
    .filter((name) => /^[0-9]+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        return pid !== process.pid && fs.readFileSync(`/proc/${pid}/cmdline`, 'latin1').split('\0').includes(word);
      } catch {
        return false;
      }
    });
}

describeIf(['root', 'fuse'], 'a plain mount', () => {
  const base = fs.realpathSync(fs.mkdtempSync(join(tmpdir(), 'ckptfs-launcher-')));
  const mountPoint = join(base, 'mnt');
  const canary = 'what the image holds '.repeat(1000);
  let encrypted: Encrypted;
  let mount: string[];

  beforeAll(() => {
    fs.mkdirSync(join(base, 'source'));
    fs.writeFileSync(join(base, 'source', 'pages-1.img'), canary);
    encrypted = encryptInto(base, join(base, 'source'));
    fs.mkdirSync(mountPoint);
    mount = ['mount', encrypted.image, mountPoint, '-k', encrypted.keyFile];
  });
  afterEach(() => clear(mountPoint));
  afterAll(() => fs.rmSync(base, { recursive: true }));

  const run = (shell: string, ...args: readonly string[]) =>
    spawnSync('bash', ['-c', shell, ckptfsProgram, ...args], {
      env: toolEnvironment,
      encoding: 'utf8',
      timeout: PATIENCE,
    });

  systemTest([], 'is one process, with nothing of its caller', async () => {
    const { pid } = JSON.parse(run('exec 200>"$2.lock"; SECRET=canary "$0" "$@" --json', ...mount).stdout || '{}');
    expect(processesWith(mountPoint)).toEqual([pid]);
    const links = fs.readdirSync(`/proc/${pid}/fd`).map((fd) => fs.readlinkSync(`/proc/${pid}/fd/${fd}`));
    expect(links.filter((link) => link.endsWith('.lock'))).toEqual([]);
    expect(fs.readlinkSync(`/proc/${pid}/fd/0`)).toBe('/dev/null');
    const names = fs
      .readFileSync(`/proc/${pid}/environ`, 'utf8')
      .split('\0')
      .map((line) => line.split('=')[0]);
    for (const name of names) expect(['', 'CKPTFS_LAUNCHED', ...PASSED_ON]).toContain(name);
    expect(fs.readFileSync(join(mountPoint, 'pages-1.img'), 'utf8')).toBe(canary);
    ckptfs('umount', mountPoint);
    await until('the daemon has ended', () => !isAlive(pid));
  });

  systemTest([], 'gets the same environment as any other daemon', () => {
    const launcher = fs.readFileSync(ckptfsProgram, 'utf8');
    const passed = [...launcher.matchAll(/\$\{([A-Z_]+)\+"\1=\$\1"\}/g)].map(([, name]) => name);
    expect(passed).toEqual([...PASSED_ON]);
  });

  // A launcher is killed a little later each time, so that every stage of a mount is met by one.
  systemTest([], 'ends again when its launcher is killed, at whatever moment', async () => {
    let count = 0;
    for (const signal of ['SIGKILL', 'SIGTERM', 'SIGINT'] as const) {
      for (let stage = 0; stage < 6; stage++) {
        const launcher = spawn(ckptfsProgram, mount, { env: toolEnvironment, stdio: 'ignore' });
        const isReached = [
          () => true,
          () => processesWith(mountPoint).length > 1,
          () => processesWith(mountPoint).some((pid) => isStarted(pid)),
          () => processesWith(mountPoint).some((pid) => holds(pid, '.log')),
          () => processesWith(mountPoint).some((pid) => holds(pid, '/dev/fuse')),
          () => isMounted(mountPoint),
        ][stage];
        await until('the stage is reached', () => launcher.exitCode !== null || (isReached?.() ?? true));
        await kill(launcher, signal);
        // One that was killed too late has heard that the mount serves: the daemon has closed its end of the pipe.
        const serving = (): number | undefined =>
          processesWith(mountPoint).find((pid) => isMounted(mountPoint) && !holdsPipe(pid) && holds(pid, '/dev/fuse'));
        await until('it is ended, or serves', () => processesWith(mountPoint).length === 0 || serving() !== undefined);
        // What serves now may be about to end.
        if (serving() !== undefined) runCkptfs('umount', mountPoint);
        else count++;
        await until('no process is left', () => processesWith(mountPoint).length === 0);
        expect(isMounted(mountPoint)).toBe(false);
      }
    }
    expect(count).toBeGreaterThan(6);
  });

  systemTest([], 'ends again when nothing reads its pipe any more', async () => {
    const ignored = Array.from({ length: 9 }, () => 'ignore' as const);
    const log = join(base, 'abandoned.log');
    const started = spawn(process.execPath, [lingering, ...mount.slice(1), '--log-file', log], {
      env: toolEnvironment,
      stdio: [...ignored, 'pipe'],
    });
    launcherEnd(started).destroy();
    await until(
      'it has ended the mount',
      () => fs.existsSync(log) && /keys .* are wiped/.test(fs.readFileSync(log, 'utf8')),
    );
    expect(fs.readFileSync(log, 'utf8')).toContain('the process that asked for this mount is gone: detaching');
    expect(isMounted(mountPoint)).toBe(false);
    await kill(started, 'SIGKILL');
  });

  systemTest([], 'keeps no key on the heap, and none at all afterwards', async () => {
    const key = readKeyFile(encrypted.keyFile).key;
    const store = new LocalStore(encrypted.image);
    const { slots, imageId } = readHeader(store);
    const slot = slots[0];
    store.close();
    if (slot === undefined) throw new Error('no slot');
    const imageKey = unwrapFromSlot(slot, imageId, key);
    const wrapped = Buffer.from(slot.encrypted_key, 'base64url');
    const contentKey = createDecipheriv('id-aes256-wrap', key.bytes, Buffer.alloc(8, 0xa6)).update(wrapped);
    const needles: Needles = {
      'image key': Buffer.from(imageKey?.bytes ?? []),
      'key file': Buffer.from(key.bytes),
      'key file as text': fs.readFileSync(encrypted.keyFile).subarray(0, 64),
      'content key': contentKey,
    };
    const ignored = Array.from({ length: 9 }, () => 'ignore' as const);
    const started = spawn(process.execPath, [lingering, encrypted.image, mountPoint, '-k', encrypted.keyFile], {
      env: toolEnvironment,
      stdio: [...ignored, 'pipe'],
    });
    try {
      expect(String(await firstOutput(started, launcherEnd(started)))).toBe('0\n');
      const before = foundInMemory(started.pid ?? 0, needles);
      // One place, which is locked: see `Secret`.
      expect(before.map((found) => found.replace(/ in .*/, ''))).toEqual(['image key']);
      expect(fs.readFileSync(join(mountPoint, 'pages-1.img'), 'utf8')).toBe(canary);
      expect(foundInMemory(started.pid ?? 0, needles).every((found) => found.startsWith('image key'))).toBe(true);
      ckptfs('umount', mountPoint);
      expect(isAlive(started.pid ?? 0)).toBe(true);
      expect(foundInMemory(started.pid ?? 0, { ...needles, contents: Buffer.from(canary) })).toEqual([]);
    } finally {
      await kill(started, 'SIGKILL');
    }
  });

  systemTest([], 'works with closed streams, odd names and other settings of its caller', () => {
    const odd = join(base, 'a name\nof two lines');
    fs.mkdirSync(odd);
    fs.symlinkSync(encrypted.image, join(odd, "it's an image"));
    fs.symlinkSync(ckptfsProgram, join(odd, 'ck ptfs'));
    const program = join(odd, 'ck ptfs');
    for (const shell of [
      '"$0" "$@" <&-',
      '"$0" "$@" >&-',
      '"$0" "$@" 2>&-',
      '"$0" "$@" <&- >&- 2>&-',
      'exec 8</dev/null 9</dev/null 7</dev/null; "$0" "$@"',
      'NODE_OPTIONS=--no-deprecation "$0" "$@"',
      'CKPTFS_LAUNCHED=9 "$0" "$@"',
      'set -m; "$0" "$@"',
      '"$0" "$@" -k <(cat "$5") | cat',
      'exec "$0" "$@" 3<&0',
    ]) {
      const words = ['mount', join(odd, "it's an image"), mountPoint, '-k', encrypted.keyFile];
      const { status, stdout, stderr } = spawnSync('bash', ['-c', `set -o pipefail; ${shell}`, program, ...words], {
        env: toolEnvironment,
        encoding: 'utf8',
        timeout: PATIENCE,
      });
      expect({ shell, status, stdout, stderr }).toEqual({ shell, status: 0, stdout: '', stderr: '' });
      expect(fs.readFileSync(join(mountPoint, 'pages-1.img'), 'utf8')).toBe(canary);
      ckptfs('umount', mountPoint);
    }
    const unlaunched = spawnSync('bash', ['-c', 'CKPTFS_LAUNCHED=9 "$0" umount "$1" 9> >(cat)', program, mountPoint], {
      env: toolEnvironment,
      timeout: PATIENCE,
    });
    expect(unlaunched.status).toBe(31);
  });

  systemTest([], 'is refused where it would hide the sockets of all mounts', () => {
    for (const path of ['/run/ckptfs', '/run', '/']) {
      const { status, stderr } = runCkptfs('mount', encrypted.image, path, '-k', encrypted.keyFile);
      expect([path, status]).toEqual([path, 2]);
      expect(stderr).toMatch(/would hide/);
    }
  });

  systemTest([], 'reads no key from a file that has the name of standard input', () => {
    fs.copyFileSync(encrypted.keyFile, join(base, '-'));
    fs.chmodSync(join(base, '-'), 0o600);
    const words = ['mount', encrypted.image, mountPoint, '-o', 'key_file=-'];
    const mounted = spawnSync(ckptfsProgram, words, {
      cwd: base,
      env: toolEnvironment,
      input: fs.readFileSync(encrypted.keyFile),
    });
    expect([mounted.status, mounted.stderr.toString()]).toEqual([0, '']);
    ckptfs('umount', mountPoint);
    fs.rmSync(join(base, '-'));
  });

  systemTest([], 'says what the ordinary command says where it cannot be made', () => {
    const direct = (words: readonly string[]) =>
      spawnSync(process.execPath, [ckptfsProgram, ...words], {
        env: toolEnvironment,
        encoding: 'utf8',
        timeout: PATIENCE,
      });
    const without = (shell: string, words: readonly string[]) => run(shell, ...words);
    for (const words of [
      ['mount'],
      ['mount', join(base, 'nothing'), mountPoint, '-k', encrypted.keyFile],
      ['mount', encrypted.image, join(base, 'nothing'), '-k', encrypted.keyFile, '--json'],
      ['mount', encrypted.image, mountPoint, '-k', join(base, 'nothing')],
      ['mount', encrypted.image, mountPoint, '-k', encrypted.keyFile, '--frob'],
      ['mount', encrypted.image, mountPoint, '-k', encrypted.keyFile, '-o', 'suid'],
      ['mount', encrypted.image, mountPoint, '--workers', '99', '--json'],
    ]) {
      const [launched, expected] = [without('"$0" "$@"', words), direct(words)];
      expect({ words, ...outcome(launched) }).toEqual({ words, ...outcome(expected) });
      expect(launched.status).not.toBe(0);
    }
    expect(without('PATH=/nowhere; "$0" "$@"', mount)).toMatchObject({ status: 127, stdout: '' });
    mountOn(mountPoint, encrypted);
    expect(without('"$0" "$@"', mount)).toMatchObject({ status: 34, stdout: '' });
    ckptfs('umount', mountPoint);
  });
});

/** This end of what a process has at the descriptor where it expects its launcher. */
function launcherEnd({ stdio }: ChildProcess): Duplex {
  const streams: readonly unknown[] = stdio;
  return streams[9] as Duplex;
}

function outcome({ status, stdout, stderr }: { status: number | null; stdout: string; stderr: string }) {
  return { status, stdout, stderr };
}

/** Whether a process is a Node that has begun to load our code. */
function isStarted(pid: number): boolean {
  try {
    return fs.readFileSync(`/proc/${pid}/maps`, 'utf8').includes('koffi');
  } catch {
    return false;
  }
}

/** Whether a process has something at the descriptor that the launcher gives it. */
function holdsPipe(pid: number): boolean {
  try {
    return fs.readlinkSync(`/proc/${pid}/fd/9`).startsWith('pipe:');
  } catch {
    return false;
  }
}

function holds(pid: number, name: string): boolean {
  try {
    return fs.readdirSync(`/proc/${pid}/fd`).some((fd) => fs.readlinkSync(`/proc/${pid}/fd/${fd}`).endsWith(name));
  } catch {
    return false;
  }
}
