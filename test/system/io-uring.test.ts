// Goal: mounts are served over io_uring where root lets them be, and through /dev/fuse wherever that cannot be.
// Method: real mounts under programs that take io_uring away, and a made-up file system that the kernel refuses it.
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect } from 'vitest';
import { Opcode } from '../../src/fuse/protocol/abi.ts';
import { countQueues } from '../../src/fuse/uring/queues.ts';
import { endOf } from './support/children.ts';
import { ckptfs, isMounted, runCkptfs } from './support/ckptfs.ts';
import {
  ckptfsProgram,
  clear,
  type Encrypted,
  encryptInto,
  isAlive,
  logOf,
  mountOn,
  statusOf,
  until,
} from './support/mounts.ts';
import { PATIENCE } from './support/patience.ts';
import {
  check,
  clearMounts,
  makeMountPoint,
  mount,
  mountPoint as patternMountPoint,
  readChecks,
} from './support/pattern-mounts.ts';
import { runProgram } from './support/programs.ts';
import { describeIf, systemTest } from './support/requirements.ts';

const withoutIoUring = fileURLToPath(new URL('support/without-io-uring.py', import.meta.url));
const content = Buffer.from(Array.from({ length: 300_000 }, (_, index) => (index * 7 + (index >> 12)) & 255));

describeIf(['root', 'fuse', 'ioUring'], 'a mount over io_uring', () => {
  const base = fs.realpathSync(fs.mkdtempSync(join(tmpdir(), 'ckptfs-io-uring-')));
  const mountPoint = join(base, 'mnt');
  const file = join(mountPoint, 'pages-1.img');
  let encrypted: Encrypted;

  beforeAll(() => {
    fs.mkdirSync(join(base, 'source'));
    fs.writeFileSync(join(base, 'source', 'pages-1.img'), content);
    encrypted = encryptInto(base, join(base, 'source'));
  });
  afterEach(() => clear(mountPoint));
  afterAll(() => fs.rmSync(base, { recursive: true }));

  const transportHere = (): string | undefined => statusOf(mountPoint)?.daemon?.transport;

  systemTest([], 'is what auto chooses for reading, but not for writing', () => {
    mountOn(mountPoint, encrypted);
    expect(transportHere()).toBe('io-uring');
    expect(fs.readFileSync(file).equals(content)).toBe(true);
    ckptfs('umount', mountPoint);
    mountOn(mountPoint, encrypted, '--write');
    expect(transportHere()).toBe('kernel');
    ckptfs('umount', mountPoint);
    mountOn(mountPoint, encrypted, '--transport', 'kernel');
    expect(transportHere()).toBe('kernel');
    ckptfs('umount', mountPoint);
  });

  systemTest([], 'cannot be locked, unless a time for its key was given', () => {
    mountOn(mountPoint, encrypted);
    expect(transportHere()).toBe('io-uring');
    expect(runCkptfs('lock', mountPoint)).toMatchObject({
      status: 2,
      stderr: expect.stringMatching(/served by io-uring; unmount it instead\. .* needs --transport kernel\.\n$/),
    });
    expect(fs.readFileSync(file).equals(content)).toBe(true);
    ckptfs('umount', mountPoint);
    mountOn(mountPoint, encrypted, '--key-ttl', '1h');
    expect(transportHere()).toBe('kernel');
    ckptfs('lock', mountPoint);
    ckptfs('umount', mountPoint);
  });

  systemTest([], 'cannot be written', () => {
    const { status, stderr } = runCkptfs(
      'mount',
      ...[encrypted.image, mountPoint, '--key-file', encrypted.keyFile, '--write', '--transport', 'io-uring'],
    );
    expect([status, stderr]).toEqual([2, expect.stringContaining('with the transport io-uring')]);
    expect(isMounted(mountPoint)).toBe(false);
  });

  for (const workers of [1, countQueues(), countQueues() + 3].filter((count) => count <= 64)) {
    systemTest([], `answers the processes of all processors by ${workers} threads`, () => {
      mountOn(mountPoint, encrypted, '--workers', String(workers));
      expect(transportHere()).toBe('io-uring');
      const digest = runProgram('sha256sum', join(base, 'source', 'pages-1.img')).split(' ')[0];
      for (let cpu = 0; cpu < availableParallelism(); cpu++) {
        const read = 'dd if="$1" iflag=nocache count=0 2>/dev/null; sha256sum "$1"';
        const output = runProgram('taskset', '--cpu-list', String(cpu), 'sh', '-c', read, 'sh', file);
        expect(output.split(' ')[0]).toBe(digest);
      }
      expect(statusOf(mountPoint)?.daemon?.workers).toBe(workers);
      ckptfs('umount', mountPoint);
      expect(isMounted(mountPoint)).toBe(false);
    });
  }

  systemTest([], 'is unmounted also while its daemon is stopped', async () => {
    const { pid } = mountOn(mountPoint, encrypted);
    process.kill(pid, 'SIGSTOP');
    expect(runCkptfs('umount', mountPoint)).toMatchObject({
      status: 35,
      stderr: expect.stringContaining('is unmounted, but its daemon'),
    });
    expect(isMounted(mountPoint)).toBe(false);
    process.kill(pid, 'SIGCONT');
    await until('the daemon has ended', () => !isAlive(pid));
  });

  systemTest([], 'lets go of a reader that waits for a stopped daemon when that is killed', async () => {
    const { pid } = mountOn(mountPoint, encrypted);
    process.kill(pid, 'SIGSTOP');
    const reader = spawn('cat', [file], { stdio: 'ignore' });
    await until('it waits', () => {
      const isReader = fs.readlinkSync(`/proc/${reader.pid}/exe`).endsWith('/cat');
      return isReader && /^State:\t[DS]/m.test(fs.readFileSync(`/proc/${reader.pid}/status`, 'utf8'));
    });
    process.kill(pid, 'SIGKILL');
    expect(await endOf(reader)).toEqual([1, null]);
    ckptfs('umount', mountPoint);
  });

  describe('of a process that may not use io_uring', () => {
    const mountWithout = (...options: readonly string[]) => {
      const words = [
        encrypted.image,
        mountPoint,
        '--key-file',
        encrypted.keyFile,
        '--log-file',
        `${encrypted.image}.log`,
      ];
      const [command = '', ...args] = ['python3', withoutIoUring, ckptfsProgram, 'mount', ...words, ...options];
      return spawnSync(command, args, { encoding: 'utf8', timeout: PATIENCE });
    };

    systemTest(['python'], 'is served through /dev/fuse, and the log says why', () => {
      fs.rmSync(`${encrypted.image}.log`, { force: true });
      const { status, stdout, stderr } = mountWithout('--json');
      expect([status, stderr]).toEqual([0, '']);
      expect(transportHere()).toBe('kernel');
      expect(fs.readFileSync(file).equals(content)).toBe(true);
      ckptfs('umount', mountPoint);
      const lines = logOf(JSON.parse(stdout)).filter((line) => line.includes(' warning: '));
      expect(lines.some((line) => line.includes('the kernel refuses an io_uring: EPERM'))).toBe(true);
      expect(lines.filter((line) => line.includes('through /dev/fuse, not over io_uring'))).toHaveLength(1);
    });

    systemTest(['python'], 'is refused where it was asked for, with what to do', () => {
      const { status, stderr } = mountWithout('--transport', 'io-uring');
      expect(status).toBe(33);
      expect(stderr).toContain('the mount cannot be served over io_uring');
      expect(stderr).toContain('kernel.io_uring_disabled');
      expect(isMounted(mountPoint)).toBe(false);
      expect(fs.readdirSync(mountPoint)).toEqual([]);
    });
  });
});

describeIf(['root', 'fuse', 'python', 'ioUring'], 'a made-up file system', () => {
  beforeEach(makeMountPoint);
  afterEach(clearMounts);

  systemTest([], 'is served over io_uring from the first request on', async () => {
    const daemon = await mount(patternMountPoint, { transport: 'io-uring' });
    for (const name of readChecks) check(name, patternMountPoint);
    expect((await daemon.next(({ overRing }) => overRing !== undefined)).overRing).toBe(true);
    // FORGET comes through the device; without one that reads it, the kernel would keep them all.
    fs.writeFileSync('/proc/sys/vm/drop_caches', '2');
    for (const name of readChecks) check(name, patternMountPoint);
    await daemon.unmount();
  });

  systemTest([], 'is served through /dev/fuse, at once, when one of the threads has failed', async () => {
    const daemon = await mount(patternMountPoint, { transport: 'io-uring', workers: 2, options: { failing: 1 } });
    const mountedAt = performance.now();
    const { refusal } = await daemon.next((message) => message.refusal !== undefined);
    expect(refusal).toBe('not all threads could make a ring');
    // Without being told, the others would wait for 20 seconds.
    expect(performance.now() - mountedAt).toBeLessThan(20_000);
    check('reading', patternMountPoint);
    expect(await daemon.next(({ overRing }) => overRing !== undefined)).toEqual({ overRing: false });
    await daemon.unmount();
  });

  systemTest([], 'is served through /dev/fuse when the kernel refuses the rings', async () => {
    const daemon = await mount(patternMountPoint, { transport: 'io-uring', options: { maxTransfer: 2 << 20 } });
    for (const name of readChecks) check(name, patternMountPoint);
    expect((await daemon.next(({ overRing }) => overRing !== undefined)).overRing).toBe(false);
    expect((await daemon.next(({ refusal }) => refusal !== undefined)).refusal).toBe('the kernel refuses it');
    expect(await daemon.requests(Opcode.FUSE_INIT)).toBe(1);
    await daemon.unmount();
  });
});
