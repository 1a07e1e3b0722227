// Goal: several restores from one mount at once each get their own memory.
// Method: one real checkpoint is restored by four criu at the same time, each in namespaces of its own.
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect } from 'vitest';
import { type Checkpoint, dumpProcess } from './support/checkpoints.ts';
import { ckptfs, withMount } from './support/ckptfs.ts';
import { buildFixture, waitForState } from './support/fixtures.ts';
import { until } from './support/mounts.ts';
import { type Namespace, openNamespace } from './support/namespace.ts';
import { describeIf, systemTest } from './support/requirements.ts';

const RESTORES = 4;
const MEBIBYTES = 96;

describeIf(['root', 'fuse', 'criu', 'namespaces', 'gcc'], 'four restores at once from one mount', () => {
  const base = fs.mkdtempSync(join(tmpdir(), 'ckptfs-at-once-'));
  const inBase = (...names: string[]): string => join(base, ...names);
  let checkpoint: Checkpoint;
  const namespaces: Namespace[] = [];

  beforeAll(async () => {
    fs.mkdirSync(inBase('state'));
    const command = buildFixture('counter', {
      directory: base,
      stateFile: inBase('state', 'count'),
      mebibytes: MEBIBYTES,
    });
    const places = { images: inBase('images'), work: inBase('dump'), stateFile: inBase('state', 'count') };
    checkpoint = await dumpProcess(command, places);
    ckptfs('keygen', '-o', inBase('key'));
    ckptfs('encrypt', inBase('images'), inBase('enc'), '--key-file', inBase('key'));
  });
  afterAll(async () => {
    for (const namespace of namespaces) await namespace.close();
    fs.rmSync(base, { recursive: true, force: true });
  });

  /** Starts a restore in a namespace where the directory of the state is one of its own. Does not wait for its end. */
  async function restore(number: number): Promise<string> {
    const own = inBase(`restore-${number}`);
    fs.mkdirSync(own);
    const namespace = await openNamespace();
    namespaces.push(namespace);
    namespace.run('mount', '--bind', own, inBase('state'));
    namespace.run('sh', '-c', `echo ${checkpoint.pid + 1000} > /proc/sys/kernel/ns_last_pid`);
    const where = ['-D', inBase('mnt'), '-W', own, '-o', 'restore.log'];
    const line = '"$@"; echo $? >"$0/new"; mv "$0/new" "$0/status"';
    namespace.launch('bash', '-c', line, own, 'criu', 'restore', '-d', ...where);
    return own;
  }

  for (const pageFiles of ['auto', 'cached']) {
    systemTest([], `with --page-files ${pageFiles}`, async () => {
      const turn = pageFiles === 'auto' ? 0 : RESTORES;
      await withMount(inBase('enc'), inBase('mnt'), inBase('key'), ['--page-files', pageFiles], async () => {
        const all = await Promise.all([...Array(RESTORES).keys()].map((number) => restore(turn + number)));
        for (const own of all) {
          await until('criu has ended', () => fs.existsSync(join(own, 'status')));
          const log = fs.readFileSync(join(own, 'restore.log'), 'utf8');
          expect(fs.readFileSync(join(own, 'status'), 'utf8'), log).toBe('0\n');
        }
        for (const own of all) {
          const { passes } = checkpoint.atDump;
          const state = await waitForState(join(own, 'count'), (now) => now.passes >= passes + 2);
          expect(state.damaged).toEqual([]);
        }
        while (namespaces.length > 0) await namespaces.pop()?.close();
      });
    });
  }
});
