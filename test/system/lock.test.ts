// Goal: a locked mount has no key and no plaintext left, its reads fail at once, and its key makes it readable again.
// Method: real mounts are locked by the CLI, also while they are read; memory of the daemons is searched for the keys.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, expect } from 'vitest';
import { foundInMemory, type Needles } from '../support/memory.ts';
import { endOf } from './support/children.ts';
import { ckptfs } from './support/ckptfs.ts';
import { secretsOf } from './support/image-secrets.ts';
import {
  ckptfsProgram,
  clear,
  type Encrypted,
  encryptInto,
  isAlive,
  mountNew,
  mountOn,
  statusOf,
  until,
  untilThreadsServe,
} from './support/mounts.ts';
import { PATIENCE } from './support/patience.ts';
import { describeIf, systemTest } from './support/requirements.ts';

const FILE_SIZE = 8 << 20;
/** What is served over io_uring cannot be locked, and the machine may have it switched on. */
const KERNEL = ['--transport', 'kernel'] as const;
/** So short that each register that contents were copied through has it. */
const canary = randomBytes(4).toString('hex');
const base = fs.realpathSync(fs.mkdtempSync(join(tmpdir(), 'ckptfs-lock-')));
const mountPoint = join(base, 'mnt');
const file = join(mountPoint, 'pages-1.img');

function run(...args: readonly string[]) {
  return spawnSync(ckptfsProgram, args, { encoding: 'utf8', timeout: PATIENCE });
}

function errnoOfRead(path: string): string | undefined {
  const fd = fs.openSync(path, 'r');
  try {
    fs.readSync(fd, Buffer.alloc(4096), 0, 4096, 0);
    return undefined;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code;
  } finally {
    fs.closeSync(fd);
  }
}

describeIf(['root', 'fuse'], 'a mount that is locked', () => {
  let encrypted: Encrypted;
  let needles: Needles;

  beforeAll(async () => {
    fs.mkdirSync(join(base, 'source'));
    const text = canary.repeat(Math.ceil(FILE_SIZE / canary.length));
    fs.writeFileSync(join(base, 'source', 'pages-1.img'), text);
    fs.writeFileSync(join(base, 'source', 'small'), canary);
    encrypted = encryptInto(base, join(base, 'source'));
    needles = await secretsOf(encrypted, canary);
  });
  afterEach(() => clear(mountPoint));
  afterAll(() => fs.rmSync(base, { recursive: true }));

  systemTest([], 'has no key before anything was read, and starts its threads after it was unlocked', async () => {
    const { pid } = mountOn(mountPoint, encrypted, ...KERNEL);
    expect(foundInMemory(pid, needles).join()).toContain('image key');
    ckptfs('lock', mountPoint);
    expect(foundInMemory(pid, needles)).toEqual([]);
    expect(errnoOfRead(file)).toBe('EIO');
    expect(fs.readdirSync(mountPoint).sort()).toEqual(['pages-1.img', 'small']);
    ckptfs('unlock', mountPoint, '--key-file', encrypted.keyFile);
    expect(fs.readFileSync(file).equals(fs.readFileSync(join(base, 'source', 'pages-1.img')))).toBe(true);
  });

  systemTest([], 'gives readers EIO, has no key in memory, and is read again with its key', async () => {
    // Compressed, because then contents are in more places: as they are stored, as they are read, in the library.
    const own = join(base, 'own');
    fs.mkdirSync(own);
    const encrypted = encryptInto(own, join(base, 'source'), '--compress', 'zstd');
    const needles = await secretsOf(encrypted, canary);
    const { pid } = mountOn(mountPoint, encrypted, ...KERNEL, '--workers', '4', '--page-files', 'direct');
    await untilThreadsServe(pid, file);
    const direct = fs.openSync(file, 'r');
    try {
      for (let round = 0; round < 2; round++) {
        fs.readFileSync(join(mountPoint, 'small'));
        await until('key and contents are in memory', () => {
          for (let at = 0; at < FILE_SIZE; at += 1 << 20) fs.readSync(direct, Buffer.alloc(1 << 20), 0, 1 << 20, at);
          const held = foundInMemory(pid, needles).map((found) => found.replace(/ in .*/, ''));
          return held.includes('image key') && held.includes('contents');
        });
        expect(JSON.parse(ckptfs('lock', mountPoint, '--json'))).toEqual({ mountPoint, locked: true });
        expect(foundInMemory(pid, needles)).toEqual([]);
        expect(statusOf(mountPoint)?.daemon?.key.locked).toBe(true);
        expect(ckptfs('status')).toMatch(/locked/);
        // The small file was in the page cache.
        expect([errnoOfRead(file), errnoOfRead(join(mountPoint, 'small'))]).toEqual(['EIO', 'EIO']);
        expect(() => fs.readSync(direct, Buffer.alloc(4096), 0, 4096, 0)).toThrow('EIO');
        expect(fs.statSync(file).size).toBeGreaterThanOrEqual(FILE_SIZE);
        const answer = ckptfs('unlock', mountPoint, '--key-file', encrypted.keyFile, '--json');
        expect(JSON.parse(answer)).toEqual({ mountPoint, locked: false });
        expect(fs.readFileSync(join(mountPoint, 'small'), 'utf8')).toBe(canary);
      }
    } finally {
      fs.closeSync(direct);
    }
    ckptfs('umount', mountPoint);
    await until('the daemon has ended', () => !isAlive(pid));
  });

  systemTest([], 'ends readers that are busy with EIO', async () => {
    const { pid } = mountOn(mountPoint, encrypted, ...KERNEL, '--workers', '2');
    await untilThreadsServe(pid, file);
    const uncached = 'while dd if="$0" of=/dev/null bs=64k iflag=direct 2> "$1"; do echo read >> "$2"; done';
    const readers = [0, 1].map((each) => {
      const [errors, progress] = [join(base, `errors-${each}`), join(base, `progress-${each}`)];
      const reader = spawn('sh', ['-c', uncached, file, errors, progress], { stdio: 'ignore' });
      return { errors, progress, reader };
    });
    await until('all readers read', () => readers.every(({ progress }) => fs.existsSync(progress)));
    ckptfs('lock', mountPoint);
    for (const { reader, errors } of readers) {
      await endOf(reader);
      expect(fs.readFileSync(errors, 'utf8')).toContain('Input/output error');
    }
    expect(foundInMemory(pid, needles)).toEqual([]);
  });

  systemTest([], 'locks itself when its time is over, and again after it was unlocked', async () => {
    mountOn(mountPoint, encrypted, '--key-ttl', '1s');
    const isLocked = () => statusOf(mountPoint)?.daemon?.key.locked === true;
    await until('it is locked', isLocked);
    expect(errnoOfRead(file)).toBe('EIO');
    // By a process of its own, not by the one that opened the slot.
    const others = ['--key', `file:${encrypted.keyFile}`];
    ckptfs('unlock', mountPoint, ...others);
    expect(statusOf(mountPoint)?.daemon?.key).toMatchObject({ slot: 1, source: expect.stringContaining('key') });
    await until('it is locked again', isLocked);
    ckptfs('umount', mountPoint);
    mountOn(mountPoint, encrypted, '-o', 'key_ttl=8h');
    const source = `key file ${encrypted.keyFile}`;
    expect(statusOf(mountPoint)?.daemon?.key).toMatchObject({ locked: false, slot: 1, source });
    expect(statusOf(mountPoint)?.daemon?.key.secondsLeft).toBeGreaterThan(8 * 3600 - PATIENCE);
  });

  systemTest([], 'counts its time by the clock that goes on while the host is suspended', () => {
    const module = fileURLToPath(new URL('../../dist/base/linux/boot-clock.js', import.meta.url));
    const program = `import(process.argv[1]).then(({ secondsSinceBoot }) => console.log(secondsSinceBoot()))`;
    const at = (...before: readonly string[]) =>
      Number(execFileSync('env', [...before, process.execPath, '-e', program, module], { encoding: 'utf8' }));
    // A time namespace moves that clock alone.
    const moved = at('unshare', '--time', '--fork', '--boottime', '1000000') - at();
    expect(Math.abs(moved - 1_000_000)).toBeLessThan(PATIENCE / 1000);
  });

  systemTest([], 'stays locked with a wrong key, is unmounted when locked, and is refused where it cannot be', () => {
    mountOn(mountPoint, encrypted, ...KERNEL);
    expect(run('unlock', mountPoint, '--key-file', encrypted.keyFile)).toMatchObject({ status: 2 });
    ckptfs('lock', mountPoint);
    ckptfs('lock', mountPoint);
    ckptfs('keygen', '-o', join(base, 'other'));
    expect(run('unlock', mountPoint, '--key-file', join(base, 'other'))).toMatchObject({ status: 12 });
    expect(errnoOfRead(file)).toBe('EIO');
    ckptfs('umount', mountPoint);
    expect(run('lock', mountPoint)).toMatchObject({ status: 31 });
    const { image, keyFile } = encrypted;
    expect(run('mount', image, mountPoint, '-k', keyFile, '--write', '--key-ttl', '1h')).toMatchObject({ status: 2 });
    fs.mkdirSync(join(base, 'new'));
    mountNew(join(base, 'new'), mountPoint);
    const refused = run('lock', mountPoint);
    expect(refused).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('sealed with its key; unmount it instead.\n'),
    });
  });

  systemTest(['fuseNative'], 'is refused where another transport serves it, with the one that can be locked', () => {
    mountOn(mountPoint, encrypted, '--transport', 'fuse-native');
    const advice =
      'it is served by fuse-native; unmount it instead. A mount that is to be locked needs --transport kernel.';
    expect(run('lock', mountPoint)).toMatchObject({
      status: 2,
      stderr: `ckptfs: ${mountPoint} cannot be locked: ${advice}\n`,
    });
    ckptfs('umount', mountPoint);
    const { image, keyFile } = encrypted;
    const timed = run('mount', image, mountPoint, '-k', keyFile, '--transport', 'fuse-native', '--key-ttl', '1h');
    expect(timed).toMatchObject({ status: 2, stderr: expect.stringContaining('needs --transport kernel.') });
  });

  systemTest([], 'is noted in the audit log, which refuses openings where it cannot be written', () => {
    const log = join(base, 'audit');
    const { image, keyFile } = encrypted;
    ckptfs('ls', image, '-k', keyFile, '--audit-log', log);
    ckptfs('keygen', '-o', join(base, 'strange\u202e'));
    expect(run('ls', image, '-k', join(base, 'strange\u202e'), '--audit-log', log)).toMatchObject({ status: 12 });
    mountOn(mountPoint, encrypted, ...KERNEL, '-o', `audit_log=${log}`);
    ckptfs('lock', mountPoint);
    ckptfs('unlock', mountPoint, '-k', keyFile, '--audit-log', log);
    ckptfs('umount', mountPoint);
    const lines = fs.readFileSync(log, 'utf8').trimEnd().split('\n');
    const found = lines.map((line) => JSON.parse(line));
    const events = ['open ok', 'refused wrong-key', 'open ok', 'lock ok', 'open ok', 'unlock ok', 'unmount ok'];
    expect(found.map(({ event, result }) => `${event} ${result}`)).toEqual(events);
    const { imageId } = JSON.parse(ckptfs('info', image, '--json'));
    expect(found[0]).toMatchObject({ uid: 0, image, imageId, slot: 1, source: `key file ${keyFile}` });
    for (const each of found) expect(each).toMatchObject({ imageId, time: expect.stringMatching(/Z$/) });
    expect(lines.join('')).toMatch(/^[ -~]*$/);
    expect(fs.statSync(log).mode & 0o777).toBe(0o600);
    const refused = run('cat', image, 'small', '-k', keyFile, '--audit-log', '/dev/full');
    expect(refused).toMatchObject({ status: 3, stdout: '', stderr: expect.stringContaining('audit log /dev/full') });
    expect(run('mount', image, mountPoint, '-k', keyFile, '--audit-log', '/dev/full')).toMatchObject({ status: 3 });
  });
});
