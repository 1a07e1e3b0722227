// Goal: a mount made by root answers system calls as a file system must.
// Method: programs read a file system in memory, whose bytes follow a pattern, through a real mount.
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { afterEach, beforeEach, expect } from 'vitest';
import { MNT_DETACH, tryUnmount } from '../../src/base/linux/mounts.ts';
import { findMount, unmount } from '../../src/fuse/mount/mount-point.ts';
import { readMounts, topmostAt } from '../../src/fuse/mount/mountinfo.ts';
import { Opcode } from '../../src/fuse/protocol/abi.ts';
import { endOf, firstOutput, opens } from './support/children.ts';
import { PatternDaemon } from './support/pattern-daemon.ts';
import {
  base,
  check,
  clearMounts,
  makeMountPoint,
  mount,
  mountPoint,
  nobody,
  readChecks,
  rootNeeds,
} from './support/pattern-mounts.ts';
import { runProgram } from './support/programs.ts';
import { describeIf, systemTest } from './support/requirements.ts';

/** umount2(2): fail all requests of a connection, present and future. */
const MNT_FORCE = 1;

beforeEach(makeMountPoint);
afterEach(clearMounts);

describeIf(rootNeeds, 'mounted by root', () => {
  for (const name of [...readChecks, 'seeking_directories', 'refusals', 'handles']) {
    systemTest([], `clients: ${name}`, async () => {
      const daemon = await mount(mountPoint);
      check(name, mountPoint);
      check(name, mountPoint);
      expect(daemon.messages.filter((message) => message.fault !== undefined)).toEqual([]);
      await daemon.unmount();
    });
  }

  systemTest([], 'without the option ro every writing call is refused by the transport', async () => {
    const daemon = await mount(mountPoint, { options: { readOnly: false } });
    check('refusals', mountPoint);
    check('refusals_of_the_transport', mountPoint);
    expect(await daemon.requests(Opcode.FUSE_WRITE)).toBe(1);
    expect(await daemon.requests(Opcode.FUSE_FALLOCATE)).toBeGreaterThanOrEqual(2);
    expect(await daemon.requests(Opcode.FUSE_SETATTR)).toBeGreaterThanOrEqual(4);
    await daemon.unmount();
  });

  systemTest([], 'faults of the file system are EIO, are reported, and end nothing', async () => {
    const daemon = await mount(mountPoint);
    check('faults', mountPoint);
    const fault = await daemon.next((message) => message.fault !== undefined);
    expect(fault).toMatchObject({ fault: 'TypeError: a bug in the file system', operation: 'READ', node: 7 });
    expect(daemon.messages.filter(({ fault: told }) => told?.includes('EIO'))).toEqual([]);
    await daemon.unmount();
  });

  systemTest([], 'requests have up to 1 MiB, and reading in order needs few', async () => {
    const daemon = await mount(mountPoint);
    check('one_direct_mebibyte', mountPoint);
    expect(await daemon.requests(Opcode.FUSE_READ)).toBe(1);
    runProgram('dd', `if=${mountPoint}/big`, 'of=/dev/null', 'bs=1M', 'count=256');
    expect(await daemon.requests(Opcode.FUSE_READ)).toBeLessThanOrEqual(1 + 256 + 16);
    await daemon.unmount();
  });

  systemTest([], 'the kernel asks for nothing twice', async () => {
    const daemon = await mount(mountPoint);
    const once = () => {
      check('attributes', mountPoint);
      check('listing', mountPoint);
      check('reading', mountPoint);
      check('closing', mountPoint);
      for (let probe = 0; probe < 10; probe++) expect(existsSync(join(mountPoint, 'never-there'))).toBe(false);
    };
    once();
    // FORGET and the like apart, what is left are extended attributes, statfs and reads at the very end of files.
    // The kernel may have needed the memory of its caches meanwhile: then it asks again, but not in every round.
    let asked = Number.POSITIVE_INFINITY;
    for (let round = 0; round < 3 && asked > 10; round++) {
      const before = await daemon.requests();
      once();
      asked = (await daemon.requests()) - before;
    }
    expect(asked).toBeLessThanOrEqual(10);
    for (const opcode of [
      Opcode.FUSE_OPEN,
      Opcode.FUSE_OPENDIR,
      Opcode.FUSE_FLUSH,
      Opcode.FUSE_FSYNC,
      Opcode.FUSE_STATX,
    ]) {
      expect(await daemon.requests(opcode)).toBe(1);
    }
    expect(await daemon.requests(Opcode.FUSE_RELEASE)).toBe(0);
    expect(await daemon.requests(Opcode.FUSE_READDIR)).toBe(0);
    await daemon.unmount();
  });

  for (const name of [
    'with space',
    'comma,rw,"quote"',
    "it's $(id) `id`",
    'back\\slash \\040',
    'new\nline',
    'größe ✓',
    '-o',
  ]) {
    systemTest([], `a mount point called ${JSON.stringify(name)}`, async () => {
      const odd = join(base, name);
      mkdirSync(odd);
      const daemon = await mount(odd);
      expect(await findMount(odd)).toMatchObject({
        mountPoint: odd,
        fsType: 'fuse.ckptfs',
        source: '/some, odd\\source',
      });
      check('reading', odd);
      await unmount(odd);
      expect(await daemon.exited).toBe(0);
    });
  }

  systemTest([], 'the mount is nosuid, nodev, ro and not for other users, unless options say otherwise', async () => {
    const daemon = await mount(mountPoint);
    const { options } = await findMount(mountPoint);
    expect(options).toEqual(
      expect.arrayContaining(['ro', 'nosuid', 'nodev', 'default_permissions', 'max_read=1048576']),
    );
    expect(options).not.toContain('allow_other');
    expect(() => check('reading', mountPoint, nobody)).toThrow(/PermissionError/);
    await daemon.unmount();
  });

  systemTest(['setpriv'], 'allow_other lets others in as far as modes say', async () => {
    const daemon = await mount(mountPoint, { options: { allowOther: true } });
    check('reading', mountPoint, nobody);
    const readPrivate = ['cat', `${mountPoint}/private`] as const;
    expect(() => runProgram('setpriv', `--reuid=${nobody}`, '--clear-groups', ...readPrivate)).toThrow(
      /exited with 1: .*Permission denied/,
    );
    runProgram(...readPrivate);
    await daemon.unmount();
  });

  systemTest(['setpriv'], 'serving one user only refuses others even what the kernel has cached', async () => {
    const daemon = await mount(mountPoint, { options: { allowOther: true, onlyUid: nobody } });
    check('reading', mountPoint, nobody);
    check('reading', mountPoint);
    expect(() => check('reading', mountPoint, 1)).toThrow(/PermissionError/);
    check('reading', mountPoint, nobody);
    await daemon.unmount();
  });

  systemTest([], 'a busy mount is not unmounted, can be detached, and then serves its readers to the end', async () => {
    const daemon = await mount(mountPoint);
    const fd = openSync(join(mountPoint, 'big'), 'r');
    await expect(unmount(mountPoint)).rejects.toMatchObject({ code: 'busy', path: mountPoint });
    await expect(daemon.unmount()).rejects.toThrow(`${mountPoint} is in use`);
    await unmount(mountPoint, { lazy: true });
    expect(topmostAt(await readMounts(), mountPoint)).toBeUndefined();
    expect(readFileSync(fd).length).toBe(2 ** 30);
    closeSync(fd);
    expect(await daemon.exited).toBe(0);
  });

  systemTest([], 'unmounting under readers neither hangs nor breaks them', async () => {
    const daemon = await mount(mountPoint);
    const loop = 'head -c 1 "$0" || ls "$0"; echo begun >&3; while :; do cat "$0" || ls -l "$0"; done';
    const readers = ['slow', 'big', 'slow', 'many'].map((name) =>
      spawn('sh', ['-c', `(${loop}) >/dev/null 2>&1`, join(mountPoint, name)], {
        detached: true,
        stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
      }),
    );
    await Promise.all(readers.map((reader) => firstOutput(reader, reader.stdio[3] as Readable)));
    const held = openSync(join(mountPoint, 'big'), 'r');
    await expect(unmount(mountPoint)).rejects.toMatchObject({ code: 'busy' });
    await unmount(mountPoint, { lazy: true });
    closeSync(held);
    for (const reader of readers) killGroup(reader);
    expect(await daemon.exited).toBe(0);
  });

  systemTest([], 'ends by force although it is in use', async () => {
    const daemon = await mount(mountPoint);
    const fd = openSync(join(mountPoint, 'big'), 'r');
    // Not by umount(8): its process would close a copy of the descriptor, and the kernel would ask for no FLUSH again.
    expect(tryUnmount(mountPoint, MNT_DETACH | MNT_FORCE)).toBe(0);
    expect(await daemon.exited).toBe(0);
    expect(() => readFileSync(fd)).toThrow(/ENOTCONN/);
    // close(2) asks for a FLUSH, which fails as well; the descriptor is closed all the same.
    expect(() => closeSync(fd)).toThrow(/ENOTCONN/);
  });

  systemTest([], 'readers that are killed in the middle of a request leave the daemon well', async () => {
    const daemon = await mount(mountPoint);
    const readers: ChildProcess[] = [];
    for (let round = 0; round < 20; round++) {
      // Whole, the file takes many requests of 100 ms each, whatever the kernel has of it by then.
      const words = [`if=${join(mountPoint, 'slow')}`, 'of=/dev/null', 'iflag=direct', 'bs=4k'];
      const reader = spawn('dd', words, { stdio: 'ignore' });
      readers.push(reader);
      await opens(reader, mountPoint, 'slow');
      reader.kill('SIGKILL');
    }
    check('reading', mountPoint);
    // A reader in the middle of a direct read lives on, and keeps the mount busy, until its request is answered. Each
    // processor has a queue over io_uring, so that of another one may be longer than this check.
    for (const reader of readers) expect(await endOf(reader)).toEqual([null, 'SIGKILL']);
    expect(daemon.messages.filter((message) => message.fault !== undefined)).toEqual([]);
    await daemon.unmount();
  });

  systemTest([], 'a daemon that is killed leaves a mount that fails at once and can be cleared', async () => {
    const daemon = await mount(mountPoint);
    const stuck = spawn('cat', [join(mountPoint, 'slow')], { stdio: 'ignore' });
    daemon.process.kill('SIGKILL');
    await daemon.exited;
    await endOf(stuck);
    expect(() => statSync(mountPoint)).toThrow(/ENOTCONN/);
    expect(await PatternDaemon.refusal(mountPoint)).toMatchObject({
      error: 'already-mounted',
    });
    await unmount(mountPoint);
    expect(topmostAt(await readMounts(), mountPoint)).toBeUndefined();
  });

  systemTest([], 'the daemon ends when its connection is aborted', async () => {
    const daemon = await mount(mountPoint);
    const { device } = await findMount(mountPoint);
    const control = `/sys/fs/fuse/connections/${device.split(':')[1]}`;
    const mountedHere = !existsSync(control);
    if (mountedHere) runProgram('mount', '-t', 'fusectl', 'none', '/sys/fs/fuse/connections');
    writeFileSync(`${control}/abort`, '1');
    expect(await daemon.exited).toBe(0);
    await unmount(mountPoint);
    if (mountedHere) runProgram('umount', '/sys/fs/fuse/connections');
  });

  systemTest([], 'what is no mount of ours is never unmounted', async () => {
    const other = join(base, 'other');
    mkdirSync(other);
    runProgram('mount', '-t', 'tmpfs', 'none', other);
    await expect(unmount(other)).rejects.toMatchObject({
      code: 'not-mounted',
      message: expect.stringContaining('tmpfs'),
    });
    await expect(unmount(base)).rejects.toMatchObject({ code: 'not-mounted' });
    runProgram('umount', other);
  });

  systemTest([], 'a mount is found through symbolic links to it', async () => {
    const daemon = await mount(mountPoint);
    for (const [link, target] of [
      ['a', 'b'],
      ['b', mountPoint],
    ])
      runProgram('ln', '-s', `${target}`, join(base, `${link}`));
    await unmount(join(base, 'a'));
    expect(await daemon.exited).toBe(0);
  });

  systemTest([], 'a mount point that cannot be used is refused', async () => {
    writeFileSync(join(base, 'file'), '');
    for (const name of ['none', 'file']) {
      expect(await PatternDaemon.refusal(join(base, name))).toMatchObject({ error: 'mount-failed' });
    }
  });
});

function killGroup(child: ChildProcess): void {
  if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
}
