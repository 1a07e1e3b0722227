// Goal: criu restores from a mount what it restores from a plain directory.
// Method: real processes are dumped, encrypted and restored, and say then what is in their memory.
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect } from 'vitest';
import { type Checkpoint, dumpProcess, restoreProcess } from './support/checkpoints.ts';
import { ckptfs, isMounted, withMount } from './support/ckptfs.ts';
import { buildFixture, type FixtureName, waitForState } from './support/fixtures.ts';
import { runProgram } from './support/programs.ts';
import { describeIf, type Feature, systemTest } from './support/requirements.ts';
import { testedTransports } from './support/transports.ts';

const processes: readonly { name: FixtureName; what: string; mebibytes: number; needs: readonly Feature[] }[] = [
  { name: 'counter', what: 'a C process with 300 MiB', mebibytes: 300, needs: [] },
  { name: 'tree', what: 'a tree with pipes, sockets, threads, a ghost file', mebibytes: 0, needs: [] },
  { name: 'python', what: 'a Python process', mebibytes: 32, needs: ['python'] },
  { name: 'java', what: 'a Java process', mebibytes: 32, needs: ['java'] },
];

/** One digest over every file's path and bytes below `directory`. */
function digestOfTree(directory: string): string {
  const hash = createHash('sha256');
  for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true }).sort((a, b) =>
    join(a.parentPath, a.name) < join(b.parentPath, b.name) ? -1 : 1,
  )) {
    const path = join(entry.parentPath, entry.name);
    hash.update(`${path}\0`);
    if (entry.isFile()) hash.update(readFileSync(path));
  }
  return hash.digest('hex');
}

for (const { name, what, mebibytes, needs } of processes) {
  describeIf(['root', 'fuse', 'criu', 'namespaces', 'gcc', ...needs], `criu restores ${what} from a mount`, () => {
    const base = mkdtempSync(join(tmpdir(), `ckptfs-criu-${name}-`));
    const [images, image, keyFile, mountPoint] = ['images', 'enc', 'key', 'mnt'].map((one) => join(base, one)) as [
      string,
      string,
      string,
      string,
    ];
    const stateFile = join(base, 'state');
    let checkpoint: Checkpoint;

    beforeAll(async () => {
      const command = buildFixture(name, { directory: base, stateFile, mebibytes });
      checkpoint = await dumpProcess(command, { images, work: join(base, 'work'), stateFile });
      ckptfs('keygen', '-o', keyFile);
      ckptfs('encrypt', images, image, '--key-file', keyFile);
    });
    afterAll(() => rmSync(base, { recursive: true, force: true }));

    for (const { transport, needs } of testedTransports) {
      systemTest(needs, `by the transport ${transport}`, async () => {
        rmSync(`${stateFile}.release`, { force: true });
        const restored = await withMount(image, mountPoint, keyFile, ['--transport', transport], async () => {
          const process = await restoreProcess(checkpoint, mountPoint, { work: join(base, `work-${transport}`) });
          await process.countsOn().catch(async (error: unknown) => {
            await process.kill();
            throw error;
          });
          return process;
        });
        try {
          // The mount is gone; what the process needed of it is in its memory.
          expect(isMounted(mountPoint)).toBe(false);
          expect((await restored.countsOn()).damaged).toEqual([]);
          if (name === 'tree') {
            writeFileSync(`${stateFile}.release`, '');
            const released = await waitForState(stateFile, ({ fields }) => fields['pending'] !== 'held');
            expect(released.fields['pending']).toBe('4242');
          }
        } finally {
          await restored.kill();
        }
      });
    }

    systemTest([], 'a decrypted copy is the plain directory again', () => {
      const copy = join(base, 'copy');
      ckptfs('decrypt', image, copy, '--key-file', keyFile);
      runProgram('diff', '-r', images, copy);
      const list = (directory: string) =>
        runProgram('find', directory, '-mindepth', '1', '-printf', '%P %y %m %U:%G %T@ %n %l\n').split('\n').sort();
      expect(list(copy)).toEqual(list(images));
    });

    if (name !== 'tree') return;

    systemTest([], 'with --scratch, criu writes its log and statistics beside the images, in memory', async () => {
      const before = digestOfTree(image);
      await withMount(image, mountPoint, keyFile, ['--scratch'], async () => {
        const restored = await restoreProcess(checkpoint, mountPoint);
        try {
          expect((await restored.countsOn()).damaged).toEqual([]);
          expect(readFileSync(join(mountPoint, 'restore.log'), 'utf8')).toContain('Restore finished successfully');
          expect(existsSync(join(mountPoint, 'stats-restore'))).toBe(true);
        } finally {
          await restored.kill();
        }
      });
      expect(isMounted(mountPoint)).toBe(false);
      expect(digestOfTree(image)).toBe(before);
      await withMount(image, mountPoint, keyFile, [], async () => {
        expect(readdirSync(mountPoint).sort()).toEqual(readdirSync(images).sort());
      });
    });

    systemTest(['crit'], 'crit decodes every image file through the mount', async () => {
      await withMount(image, mountPoint, keyFile, [], async () => {
        // Memory pages are raw bytes: crit cannot read that file in a plain directory either.
        const files = readdirSync(images).filter((file) => !/^pages-\d+\.img$/.test(file));
        expect(files).toContain('pstree.img');
        for (const file of files) {
          expect(JSON.parse(runProgram('crit', 'show', join(mountPoint, file))).magic, file).toBeTypeOf('string');
          expect(readFileSync(join(mountPoint, file)).equals(readFileSync(join(images, file))), file).toBe(true);
        }
      });
    });
  });
}
