// Goal: runc restores a container from a mount.
// Method: a real container is checkpointed, encrypted, mounted and restored.
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect } from 'vitest';
import { ckptfs, isMounted, withMount } from './support/ckptfs.ts';
import { type Bundle, makeBundle, runc } from './support/containers.ts';
import { readState, waitForState, whileAtRest } from './support/fixtures.ts';
import { ckptfsProgram } from './support/mounts.ts';
import { openNamespace } from './support/namespace.ts';
import { describeIf, systemTest } from './support/requirements.ts';
import { testedTransports } from './support/transports.ts';

describeIf(['root', 'fuse', 'criu', 'runc', 'namespaces', 'gcc'], 'runc restores a container from a mount', () => {
  const base = mkdtempSync(join(tmpdir(), 'ckptfs-runc-'));
  const inBase = (name: string) => join(base, name);
  const container = `ckptfs-test-${process.pid}`;
  let bundle: Bundle;

  beforeAll(async () => {
    bundle = makeBundle(inBase('bundle'), 64);
    for (const name of ['images', 'work', 'restore-work']) mkdirSync(inBase(name));
    const namespace = await openNamespace({ hideFuse: true });
    try {
      runc(namespace, base, 'run', '--detach', '--bundle', bundle.directory, container);
      await waitForState(bundle.stateFile, (state) => state.passes >= 1);
      const paths = ['--image-path', inBase('images'), '--work-path', inBase('work')];
      await whileAtRest(bundle.stateFile, () => runc(namespace, base, 'checkpoint', ...paths, container));
    } finally {
      await namespace.close();
    }
    ckptfs('keygen', '-o', inBase('key'));
    ckptfs('encrypt', inBase('images'), inBase('enc'), '--key-file', inBase('key'));
  });
  afterAll(() => rmSync(base, { recursive: true, force: true }));

  for (const { transport, needs } of testedTransports) {
    systemTest(needs, `by the transport ${transport}`, async () => {
      expect(readdirSync(inBase('images'))).toContain('descriptors.json');
      const before = readState(bundle.stateFile);
      if (before === undefined) throw new Error('the container left no state');
      const mountPoint = inBase('mnt');
      await withMount(inBase('enc'), mountPoint, inBase('key'), ['--transport', transport], async () => {
        const namespace = await openNamespace();
        try {
          const paths = [
            '--bundle',
            bundle.directory,
            '--image-path',
            mountPoint,
            '--work-path',
            inBase('restore-work'),
          ];
          // Without --work-path criu works in the image directory, where it cannot write.
          const noWork = paths.slice(0, -2);
          expect(() => runc(namespace, base, 'restore', '--detach', ...noWork, container)).toThrow('criu failed');
          runc(namespace, base, 'restore', '--detach', ...paths, container);
          const grown = (by: number) => (state: { passes: number }) => state.passes >= before.passes + by;
          const state = await waitForState(bundle.stateFile, grown(2));
          expect(state.damaged).toEqual([]);
        } finally {
          runc(namespace, base, 'delete', '--force', container);
          await namespace.close();
        }
      });
      expect(isMounted(mountPoint)).toBe(false);
    });
  }

  systemTest(['userfaultfd'], 'in the background, by ckptfs exec --lazy-pages', async () => {
    const before = readState(bundle.stateFile);
    if (before === undefined) throw new Error('the container left no state');
    const work = inBase('lazy-work');
    mkdirSync(work);
    const namespace = await openNamespace();
    try {
      const exec = [ckptfsProgram, 'exec', inBase('enc'), '--key-file', inBase('key'), '--lazy-pages', work, '--'];
      const base_ = ['runc', '--root', join(base, 'runc'), '--log', join(base, 'runc.log')];
      const paths = ['--bundle', bundle.directory, '--image-path', '{}', '--work-path', work];
      const command = [...exec, ...base_, 'restore', '--detach', '--lazy-pages', ...paths, container];
      const quiet = 'exec "$@" </dev/null >/dev/null 2>"$0/err"';
      const { status } = namespace.run('bash', '-c', quiet, work, ...command);
      expect([status, readFileSync(join(work, 'err'), 'utf8')]).toEqual([0, '']);
      expect(readFileSync(join(work, 'restore.log'), 'utf8')).toContain('lazy-pages');
      const state = await waitForState(bundle.stateFile, ({ passes }) => passes >= before.passes + 2);
      expect(state.damaged).toEqual([]);
    } finally {
      runc(namespace, base, 'delete', '--force', container);
      await namespace.close();
    }
  });
});
