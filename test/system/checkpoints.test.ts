// Goal: the ground under every test with a checkpoint is firm.
// Method: without ckptfs, the same fixtures dump and restore on this machine.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect } from 'vitest';
import { dumpProcess, restoreProcess } from './support/checkpoints.ts';
import { buildFixture, type FixtureName, waitForState } from './support/fixtures.ts';
import { describeIf, systemTest } from './support/requirements.ts';

describeIf(['root', 'criu', 'namespaces', 'gcc'], 'fixtures restore from a plain directory', () => {
  const base = mkdtempSync(join(tmpdir(), 'ckptfs-plain-'));
  afterAll(() => rmSync(base, { recursive: true, force: true }));

  const dumpAndRestore = async (name: FixtureName, mebibytes: number): Promise<void> => {
    const stateFile = join(base, `${name}.state`);
    const command = buildFixture(name, { directory: base, stateFile, mebibytes });
    const checkpoint = await dumpProcess(command, { images: join(base, `${name}.images`), work: base, stateFile });
    expect(checkpoint.atDump.damaged).toEqual([]);
    const restored = await restoreProcess(checkpoint, checkpoint.images, { work: base });
    try {
      const state = await restored.countsOn();
      expect(state.damaged).toEqual([]);
      if (name === 'tree') {
        writeFileSync(`${stateFile}.release`, '');
        const released = await waitForState(stateFile, ({ fields }) => fields['pending'] !== 'held');
        expect(released.fields['pending']).toBe('4242');
      }
    } finally {
      await restored.kill();
    }
  };

  systemTest([], 'a C process', () => dumpAndRestore('counter', 64));
  systemTest([], 'a process tree', () => dumpAndRestore('tree', 0));
  systemTest(['python'], 'a Python process', () => dumpAndRestore('python', 16));
  systemTest(['java'], 'a Java process', () => dumpAndRestore('java', 16));
});
