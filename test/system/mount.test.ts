// Goal: a mount serves until it is ended, in whatever way, and leaves no process and no broken mount.
// Method: real mounts by each transport: busy, detached, killed, in the foreground and of an ordinary user.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect } from 'vitest';
import { endOf, kill } from './support/children.ts';
import { ckptfs, isMounted, runCkptfs } from './support/ckptfs.ts';
import {
  asNobody,
  ckptfsProgram,
  clear,
  type Encrypted,
  encryptInto,
  isAlive,
  logOf,
  type Mounted,
  mountOn,
  start,
  statusOf,
  until,
  withFuseForAll,
} from './support/mounts.ts';
import { PATIENCE } from './support/patience.ts';
import { runProgram } from './support/programs.ts';
import { describeIf, systemTest } from './support/requirements.ts';
import { isOverRing, testedTransports, usualTransport } from './support/transports.ts';

const content = Buffer.alloc(300_000, 'a checkpoint ');

describeIf(['root', 'fuse'], 'a mount', () => {
  const base = fs.realpathSync(fs.mkdtempSync(join(tmpdir(), 'ckptfs-mount-')));
  const mountPoint = join(base, 'mnt');
  const other = join(base, 'other');
  const file = join(mountPoint, 'pages-1.img');
  let encrypted: Encrypted;

  beforeAll(() => {
    fs.chmodSync(base, 0o755);
    fs.mkdirSync(join(base, 'source'), { mode: 0o755 });
    fs.writeFileSync(join(base, 'source', 'pages-1.img'), content, { mode: 0o644 });
    fs.writeFileSync(join(base, 'source', 'secret.img'), 'for the owner', { mode: 0o600 });
    encrypted = encryptInto(base, join(base, 'source'));
    for (const path of [mountPoint, other]) fs.mkdirSync(path);
  });
  afterEach(() => [mountPoint, other, join(base, 'home', 'mnt')].forEach(clear));
  afterAll(() => fs.rmSync(base, { recursive: true }));

  const expectEnded = async ({ pid, mountPoint: path }: Mounted): Promise<void> => {
    await until('the daemon has ended', () => !isAlive(pid));
    expect(isMounted(path)).toBe(false);
    expect(fs.readdirSync(path)).toEqual([]);
  };

  systemTest([], 'serves as soon as the command returns, from a session of its own', async () => {
    const mounted = mountOn(mountPoint, encrypted);
    expect(fs.readFileSync(file).equals(content)).toBe(true);
    const [, , , session, terminal] = fs
      .readFileSync(`/proc/${mounted.pid}/stat`, 'utf8')
      .replace(/^.*\) . /, 'x ')
      .split(' ');
    expect([session, terminal]).toEqual([String(mounted.pid), '0']);
    expect(fs.readlinkSync(`/proc/${mounted.pid}/cwd`)).toBe('/');
    ckptfs('umount', mountPoint);
    // Not "soon": umount returns when the keys are wiped.
    expect(logOf(mounted).at(-1)).toContain('keys and cached plaintext are wiped');
    await expectEnded(mounted);
  });

  systemTest([], 'outlives the terminal it was made from', async () => {
    const command = `${ckptfsProgram} mount ${encrypted.image} ${mountPoint} --key-file ${encrypted.keyFile}`;
    runProgram('script', '--quiet', '--return', '--command', command, '/dev/null');
    const pid = statusOf(mountPoint)?.pid ?? 0;
    process.kill(pid, 'SIGHUP');
    // The answer comes from the thread that takes signals, after it took that one.
    expect(statusOf(mountPoint)?.state).toBe('serving');
    expect(fs.readFileSync(file).equals(content)).toBe(true);
    ckptfs('umount', mountPoint);
  });

  describe.each(testedTransports)('by the transport $transport', ({ transport, needs }) => {
    const ways: readonly [string, (mounted: Mounted) => void][] = [
      ['ckptfs umount', () => ckptfs('umount', mountPoint)],
      ['umount', () => runProgram('umount', mountPoint)],
      ['fusermount3 -u', () => runProgram('fusermount3', '-u', mountPoint)],
      ['SIGTERM', ({ pid }) => process.kill(pid, 'SIGTERM')],
      ['SIGINT', ({ pid }) => process.kill(pid, 'SIGINT')],
    ];
    for (const [way, end] of ways) {
      systemTest([...needs, 'fusermount'], `ends, daemon and all, by ${way}`, async () => {
        const mounted = mountOn(mountPoint, encrypted, '--transport', transport);
        expect(fs.readFileSync(file).equals(content)).toBe(true);
        expect(statusOf(mountPoint)?.state).toBe('serving');
        end(mounted);
        await expectEnded(mounted);
        expect(statusOf(mountPoint)).toBeUndefined();
      });
    }

    systemTest(needs, 'is cleared by ckptfs umount when its daemon was killed', async () => {
      const mounted = mountOn(mountPoint, encrypted, '--transport', transport);
      process.kill(mounted.pid, 'SIGKILL');
      await until('the daemon is dead', () => !isAlive(mounted.pid));
      expect(() => fs.readdirSync(mountPoint)).toThrow(
        isOverRing ? /ECANCELED|ENOTCONN|ECONNABORTED/ : /ENOTCONN|ECONNABORTED/,
      );
      expect(statusOf(mountPoint)?.state).toBe('dead');
      ckptfs('umount', mountPoint);
      await expectEnded(mounted);
    });

    systemTest(needs, 'that is busy names who uses it, and goes on', async () => {
      const mounted = mountOn(mountPoint, encrypted, '--transport', transport);
      const reader = start('/dev/null', 'tail', '-f', file);
      try {
        await until('tail reads', () => fs.readlinkSync(`/proc/${reader.pid}/exe`).endsWith('/tail'));
        await until('tail has it open', () =>
          runCkptfs('umount', mountPoint).stderr.includes(`tail (pid ${reader.pid})`),
        );
        process.kill(mounted.pid, 'SIGTERM');
        await until('the log says why', () => logOf(mounted).some((line) => line.includes(`tail (pid ${reader.pid})`)));
        expect(fs.readFileSync(file).equals(content)).toBe(true);
        const open = fs.openSync(file, 'r');
        process.kill(mounted.pid, 'SIGTERM');
        await until('the second signal detached it', () => !isMounted(mountPoint));
        expect(fs.readFileSync(open).equals(content)).toBe(true);
        expect(isAlive(mounted.pid)).toBe(true);
        fs.closeSync(open);
      } finally {
        await kill(reader);
      }
      await expectEnded(mounted);
    });
  });

  systemTest([], 'can be detached while readers are busy', async () => {
    const mounted = mountOn(mountPoint, encrypted);
    const open = fs.openSync(file, 'r');
    ckptfs('umount', '--lazy', mountPoint);
    expect(isMounted(mountPoint)).toBe(false);
    expect(statusOf(mountPoint)).toMatchObject({ state: 'elsewhere', pid: mounted.pid });
    const part = Buffer.alloc(4096);
    fs.readSync(open, part, 0, part.length, 200_000);
    expect(part.equals(content.subarray(200_000, 204_096))).toBe(true);
    fs.closeSync(open);
    await expectEnded(mounted);
  });

  systemTest([], 'lets go of all its readers when its daemon is killed', async () => {
    const mounted = mountOn(mountPoint, encrypted);
    const loop = `while dd if=${file} of=/dev/null bs=64k iflag=direct status=none; do echo; done`;
    const readers = Array.from({ length: 6 }, (_, i) => start(join(base, `reader-${i}`), 'sh', '-c', loop));
    const reading = () => readers.every((_, i) => fs.statSync(join(base, `reader-${i}`)).size > 10);
    await until('all read', reading);
    process.kill(mounted.pid, 'SIGKILL');
    await Promise.all(readers.map(endOf));
    for (const i of readers.keys()) {
      expect(fs.readFileSync(join(base, `reader-${i}`), 'utf8')).toMatch(
        isOverRing ? /cancel|not connected|abort/ : /not connected|abort/,
      );
    }
    ckptfs('umount', mountPoint);
    await expectEnded(mounted);
  });

  systemTest([], 'and another of the same image do not mind each other', async () => {
    const [first, second] = [mountOn(mountPoint, encrypted), mountOn(other, encrypted)];
    expect(first.pid).not.toBe(second.pid);
    runProgram('diff', '-r', mountPoint, other);
    ckptfs('umount', mountPoint);
    expect(fs.readFileSync(join(other, 'pages-1.img')).equals(content)).toBe(true);
    ckptfs('umount', other);
    await expectEnded(first);
    await expectEnded(second);
  });

  systemTest([], 'counts what it does', () => {
    const mounted = mountOn(mountPoint, encrypted, '--workers', '3');
    fs.readFileSync(file);
    const status = statusOf(mountPoint);
    expect(status).toMatchObject({ state: 'serving', scratch: false, source: encrypted.image });
    expect(status?.pid).toBe(mounted.pid);
    expect(status?.daemon).toMatchObject({ workers: 3, transport: usualTransport });
    expect(status?.daemon?.counters).toMatchObject({ bytesServed: content.length, authenticationFailures: 0 });
    expect(status?.daemon?.counters.requests).toBeGreaterThan(2);
    expect(status?.daemon?.counters.storedBytesRead).toBeGreaterThanOrEqual(content.length);
    ckptfs('umount', mountPoint);
  });

  systemTest([], 'lets other users in only when told to', () => {
    const cat = (...options: string[]) => {
      mountOn(mountPoint, encrypted, ...options);
      const [program, ...args] = asNobody(base);
      const results = ['pages-1.img', 'secret.img'].map((name) =>
        spawnSync(program, [...args, 'cat', join(mountPoint, name)], { timeout: PATIENCE }).stdout.toString(),
      );
      ckptfs('umount', mountPoint);
      return results;
    };
    expect(cat()).toEqual(['', '']);
    expect(cat('--allow-other')).toEqual([content.toString(), '']);
    expect(cat('-o', 'allow_other')).toEqual([content.toString(), '']);
    expect(cat('--allow-root')).toEqual(['', '']);
  });

  for (const { transport, needs } of testedTransports) {
    systemTest(needs, `is read-only, without programs and devices, as mount tables show (${transport})`, () => {
      mountOn(mountPoint, encrypted, '-o', `noexec,fsname=of me,x-systemd.automount,transport=${transport}`);
      const line = fs
        .readFileSync('/proc/self/mountinfo', 'utf8')
        .split('\n')
        .find((one) => one.includes(mountPoint));
      expect(line).toMatch(/ ro,nosuid,nodev,noexec,\S* - fuse\.ckptfs of\\040me ro,/);
      for (const change of [
        () => fs.writeFileSync(file, ''),
        () => fs.unlinkSync(file),
        () => fs.mkdirSync(`${file}.d`),
      ]) {
        expect(change).toThrow('EROFS');
      }
      ckptfs('umount', mountPoint);
    });
  }

  systemTest([], 'in the foreground keeps its pid, logs to standard error and ends with 0', async () => {
    const log = join(base, 'foreground.log');
    const command = ['mount', '-f', encrypted.image, mountPoint, '--key-file', encrypted.keyFile];
    const daemon = start(log, ckptfsProgram, ...command);
    await until('it serves', () => fs.readFileSync(log, 'utf8').includes(`ckptfs[${daemon.pid}]: info: serving`));
    expect(fs.readFileSync(file).equals(content)).toBe(true);
    expect(await kill(daemon)).toEqual([0, null]);
    expect(isMounted(mountPoint)).toBe(false);
  });

  systemTest(['setpriv', 'fusermount'], 'works for an ordinary user', async () => {
    const home = join(base, 'home');
    fs.cpSync(encrypted.image, join(home, 'enc'), { recursive: true });
    fs.copyFileSync(encrypted.keyFile, join(home, 'key'));
    fs.mkdirSync(join(home, 'mnt'));
    runProgram('chown', '-R', '65534:65534', home);
    const run = (...command: string[]): string => runProgram(...asNobody(home), ...command);
    await withFuseForAll(async () => {
      run(ckptfsProgram, 'mount', join(home, 'enc'), join(home, 'mnt'), '--key-file', join(home, 'key'));
      expect(run('cat', join(home, 'mnt', 'pages-1.img'))).toBe(content.toString());
      const status = statusOf(join(home, 'mnt'), run(ckptfsProgram, 'status', '--json'));
      expect(status?.state).toBe('serving');
      // Root sees the daemons of all users, and may end their mounts.
      const pid = status?.pid ?? 0;
      expect(statusOf(join(home, 'mnt'))?.pid).toBe(pid);
      run(ckptfsProgram, 'umount', join(home, 'mnt'));
      await until('the daemon has ended', () => !isAlive(pid));
      expect(fs.readdirSync(join(home, '.local', 'state', 'ckptfs'))).toHaveLength(1);
    });
    expect(isMounted(join(home, 'mnt'))).toBe(false);
  });
});
