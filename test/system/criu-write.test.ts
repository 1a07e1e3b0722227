import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect } from 'vitest';
import { type Checkpoint, restoreProcess } from './support/checkpoints.ts';
import { ckptfs } from './support/ckptfs.ts';
import { buildFixture, type FixtureName, readState, waitForState, whileAtRest } from './support/fixtures.ts';
import { clear, type Encrypted, mountNew, mountOn } from './support/mounts.ts';
import { openNamespace } from './support/namespace.ts';
import { describeIf, systemTest } from './support/requirements.ts';

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
    }, 120_000);
    afterAll(() => {
      clear(mountPoint);
      rmSync(base, { recursive: true, force: true });
    });

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

    systemTest([], 'and what it wrote is a whole image', () => {
      ckptfs('verify', encrypted.image, '--key-file', encrypted.keyFile);
      expect(ckptfs('ls', '-0', encrypted.image, '-k', encrypted.keyFile).split('\0')).toEqual(
        expect.arrayContaining(['dump.log', 'inventory.img', 'pages-1.img', 'stats-dump']),
      );
    });

    systemTest([], 'and restores it from a read-only mount', async () => {
      mountOn(mountPoint, encrypted);
      await restores(join(base, 'work'));
    });

    systemTest([], 'and from a writable one, which takes its log', async () => {
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
