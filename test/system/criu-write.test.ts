// Goal: criu writes a dump straight into an encrypted image, and restores from it.
// Method: real dumps of single processes and trees of them, by both transports.
import { spawn } from 'node:child_process';
import { existsSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, unlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { afterAll, beforeAll, expect } from 'vitest';
import { type Checkpoint, restoreProcess } from './support/checkpoints.ts';
import { kill } from './support/children.ts';
import { ckptfs } from './support/ckptfs.ts';
import { buildFixture, type FixtureName, readState, waitForState, whileAtRest } from './support/fixtures.ts';
import { clear, type Encrypted, mountNew, mountOn } from './support/mounts.ts';
import { openNamespace } from './support/namespace.ts';
import { inTime } from './support/patience.ts';
import { describeIf, systemTest, toolEnvironment } from './support/requirements.ts';

/** Dumps a process with `criu dump -D` a mount, log and all; the process is gone then. */
async function dumpInto(mountPoint: string, name: FixtureName, base: string, mebibytes: number): Promise<Checkpoint> {
  const stateFile = join(base, 'state');
  const command = buildFixture(name, { directory: base, stateFile, mebibytes });
  const namespace = await openNamespace();
  try {
    const pid = namespace.launch(...command);
    await waitForState(stateFile, (state) => state.count >= 3 && state.passes >= 1);
    const dump = ['dump', '-t', String(pid), '-D', mountPoint, '-o', 'dump.log', '-v4'];
    const { status } = await whileAtRest(stateFile, () => namespace.run('criu', ...dump));
    if (status !== 0) throw new Error(`criu dump: ${readFileSync(join(mountPoint, 'dump.log'), 'utf8').slice(-2000)}`);
    const atDump = readState(stateFile);
    if (atDump === undefined) throw new Error(`${stateFile} is gone`);
    return { images: mountPoint, pid, stateFile, atDump };
  } finally {
    await namespace.close();
  }
}

for (const { name, mebibytes } of [
  { name: 'counter', mebibytes: 200 },
  { name: 'tree', mebibytes: 0 },
] as const) {
  describeIf(['root', 'fuse', 'criu', 'namespaces', 'gcc'], `criu dumps straight into a mount: ${name}`, () => {
    const base = mkdtempSync(join(tmpdir(), `ckptfs-dump-${name}-`));
    const mountPoint = join(base, 'mnt');
    let encrypted: Encrypted;
    let checkpoint: Checkpoint;

    beforeAll(async () => {
      [encrypted] = mountNew(base, mountPoint);
      checkpoint = await dumpInto(mountPoint, name, base, mebibytes);
      ckptfs('umount', mountPoint);
    });
    afterAll(() => {
      clear(mountPoint);
      rmSync(base, { recursive: true, force: true });
    });

    systemTest(
      [],
      'lazy-pages makes its socket where it works: on a mount that writes, not on one that reads',
      async () => {
        const work = join(base, 'work');
        mkdirSync(work);
        const ready = async (...options: readonly string[]): Promise<boolean> => {
          const lazy = spawn(
            'criu',
            ['lazy-pages', '-D', mountPoint, ...options, '-o', 'lazy.log', '--status-fd', '3'],
            {
              env: toolEnvironment,
              stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
            },
          );
          // A NUL when it waits for connections, or the end of the file.
          const told = new Promise<boolean>((resolve) =>
            (lazy.stdio[3] as Readable).once('data', () => resolve(true)).once('close', () => resolve(false)),
          );
          const isReady = await inTime('the status of criu lazy-pages', told);
          await kill(lazy, 'SIGKILL');
          return isReady;
        };
        const isSocket = (directory: string): boolean => lstatSync(join(directory, 'lazy-pages.socket')).isSocket();

        mountOn(mountPoint, encrypted);
        expect(await ready()).toBe(false);
        expect(await ready('-W', work)).toBe(true);
        expect(isSocket(work)).toBe(true);
        const dedup = ['restore', '-D', mountPoint, '-W', work, '-o', 'dedup.log', '--auto-dedup'];
        // Inside, no other process has the pids that it restores.
        const namespace = await openNamespace();
        try {
          expect(namespace.run('criu', ...dedup).status).not.toBe(0);
        } finally {
          await namespace.close();
        }
        expect(readFileSync(join(work, 'dedup.log'), 'utf8')).toContain('Read-only file system');
        ckptfs('umount', mountPoint);

        mountOn(mountPoint, encrypted, '--write');
        expect(await ready()).toBe(true);
        expect(isSocket(mountPoint)).toBe(true);
        unlinkSync(join(mountPoint, 'lazy-pages.socket'));
        unlinkSync(join(mountPoint, 'lazy.log'));
        ckptfs('umount', mountPoint);
      },
    );

    /** Restores from what is mounted, which then is unmounted. */
    async function restores(work?: string): Promise<void> {
      const restored = await restoreProcess(checkpoint, mountPoint, work === undefined ? {} : { work });
      try {
        const seen = await restored.countsOn();
        ckptfs('umount', mountPoint);
        expect(seen.damaged).toEqual([]);
        expect((await restored.countsOn()).damaged).toEqual([]);
      } finally {
        await restored.kill();
      }
    }

    systemTest([], 'what criu wrote is a whole image', () => {
      ckptfs('verify', encrypted.image, '--key-file', encrypted.keyFile);
      expect(ckptfs('ls', '-0', encrypted.image, '-k', encrypted.keyFile).split('\0')).toEqual(
        expect.arrayContaining(['dump.log', 'inventory.img', 'pages-1.img', 'stats-dump']),
      );
    });

    systemTest([], 'criu restores it from a read-only mount', async () => {
      mountOn(mountPoint, encrypted);
      await restores(join(base, 'work'));
    });

    systemTest([], 'criu restores it from a writable mount, which takes its log', async () => {
      mountOn(mountPoint, encrypted, '--write');
      await restores();
      mountOn(mountPoint, encrypted);
      expect(readdirSync(mountPoint)).toEqual(expect.arrayContaining(['restore.log', 'stats-restore']));
      expect(readFileSync(join(mountPoint, 'restore.log'), 'utf8')).toContain('Restore finished successfully');
      ckptfs('umount', mountPoint);
      expect(existsSync(join(encrypted.image, 'journal'))).toBe(false);
    });
  });
}
