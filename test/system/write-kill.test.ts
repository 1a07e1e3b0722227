// Goal: what was closed or synced is there after a daemon is killed at any moment.
// Method: real daemons are killed at random moments of writing and dumping; the image is sealed and compared.
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, expect } from 'vitest';
import { runFsx } from '../fsx/run.ts';
import { Random } from '../fuzz/random.ts';
import { WritableMount } from '../support/writable-mount.ts';
import { endOf } from './support/children.ts';
import { buildClosings, ClosingsWatcher } from './support/closings.ts';
import { buildFixture, readState, waitForState } from './support/fixtures.ts';
import { handedDirectory, type Namespace, openNamespace } from './support/namespace.ts';
import { PATIENCE } from './support/patience.ts';
import { runProgram } from './support/programs.ts';
import { describeIf, systemTest } from './support/requirements.ts';

/** About how many kills of each kind are tried. CKPTFS_KILLS=300 makes a long run, CKPTFS_SEED another one. */
const kills = Number(process.env['CKPTFS_KILLS'] ?? 12);
const seed = Number(process.env['CKPTFS_SEED'] ?? 1);
const timeout = PATIENCE + kills * 20_000;

let base: string;
let mount: WritableMount;
beforeEach(() => {
  base = fs.realpathSync(fs.mkdtempSync(join(tmpdir(), 'ckptfs-kill-')));
  mount = new WritableMount(base);
});
afterEach(() => {
  mount.discard();
  fs.rmSync(base, { recursive: true });
});

describeIf(['root', 'fuse'], 'a daemon that is killed while files are written', () => {
  systemTest(
    [],
    'leaves all that was closed or synced, and of the rest a state that once was',
    async () => {
      mount.mount();
      const operationsPerKill = 40;
      const operations = kills * operationsPerKill;
      const report = await runFsx(mount, {
        seed,
        operations,
        operationsPerSeal: 4 * operationsPerKill,
        operationsPerKill,
      });
      const killed = ['kill', 'kill while working', 'kill while sealing'].map((what) => report[what] ?? 0);
      expect(killed.reduce((sum, count) => sum + count)).toBeGreaterThan(kills / 3);
    },
    timeout,
  );
});

describeIf(['root', 'fuse', 'criu', 'namespaces', 'gcc'], 'a daemon that is killed while criu dumps', () => {
  let fixtures: string;
  let closings: string;
  let stateFile: string;
  let namespace: Namespace;
  let pid: number;

  beforeAll(async () => {
    fixtures = fs.realpathSync(fs.mkdtempSync(join(tmpdir(), 'ckptfs-dumped-')));
    closings = buildClosings(fixtures);
    stateFile = join(fixtures, 'state');
    const command = buildFixture('counter', { directory: fixtures, stateFile, mebibytes: 24 });
    namespace = await openNamespace({ hideFuse: true });
    pid = namespace.launch(...command);
    await waitForState(stateFile, (state) => state.passes >= 1);
  });
  afterAll(async () => {
    await namespace.close();
    fs.rmSync(fixtures, { recursive: true });
  });

  /** Dumps into the mount; the process goes on. @returns whether that was done */
  async function dump(): Promise<boolean> {
    const where = ['-D', handedDirectory, '-W', base, '-o', 'dump.log'];
    const criu = namespace.start(mount.mountPoint, 'criu', 'dump', '-t', String(pid), '--leave-running', ...where);
    const [status] = await endOf(criu);
    return status === 0;
  }

  /**
   * Dumps, kills the daemon some time after so many files were closed, and compares those with what is left.
   * @returns how many they were, and whether the dump was done by then
   */
  async function killedDump(closed: number, milliseconds: number): Promise<{ compared: number; done: boolean }> {
    const copies = join(base, 'copies');
    const decrypted = join(base, 'decrypted');
    fs.mkdirSync(copies);
    const watcher = await ClosingsWatcher.start(closings, mount.mountPoint, copies);
    const dumping = dump();
    await Promise.race([watcher.closed(closed), dumping]);
    await setTimeout(milliseconds);
    mount.kill();
    const done = await dumping;
    await watcher.end();
    fs.rmSync(join(copies, '.draft'), { force: true });

    mount.run('seal');
    mount.run('verify');
    mount.decrypt(decrypted);
    const names = fs.readdirSync(copies);
    for (const name of names) runProgram('cmp', join(copies, name), join(decrypted, name));
    for (const directory of [copies, decrypted]) fs.rmSync(directory, { recursive: true });
    return { compared: names.length, done };
  }

  systemTest(
    [],
    'leaves every file that was closed, and the process runs on',
    async () => {
      let [compared, interrupted] = [0, 0];
      for (let round = 0; round < kills; round++) {
        const random = new Random(seed, round);
        mount.mount();
        const result = await killedDump(random.below(12), random.below(random.pick([1, 5, 30])));
        fs.rmSync(mount.image, { recursive: true });
        compared += result.compared;
        interrupted += result.done ? 0 : 1;
      }
      expect(compared).toBeGreaterThan(kills);
      expect(interrupted).toBeGreaterThan(kills / 8);
      const before = readState(stateFile)?.passes ?? 0;
      const after = await waitForState(stateFile, (state) => state.passes >= before + 2);
      expect(after.damaged).toEqual([]);
    },
    timeout,
  );
});
