// Goal: a task in a user namespace, which opens image files itself, is restored from a mount with root_mode=0755.
// Method: runc checkpoints and restores a real container.
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, expect } from 'vitest';
import { WritableMount } from '../support/writable-mount.ts';
import { ckptfs } from './support/ckptfs.ts';
import { type Bundle, makeBundle, runc } from './support/containers.ts';
import { readState, waitForState, whileAtRest } from './support/fixtures.ts';
import { clear } from './support/mounts.ts';
import { openNamespace } from './support/namespace.ts';
import { describeIf, systemTest } from './support/requirements.ts';

/** Root of the user namespace, seen from outside. */
const FIRST_ID = 100_000;

describeIf(
  ['root', 'fuse', 'criu', 'runc', 'namespaces', 'gcc'],
  'a container with a user namespace, whose task opens image files itself',
  () => {
    const base = fs.realpathSync(fs.mkdtempSync(join(tmpdir(), 'ckptfs-user-namespace-')));
    fs.chmodSync(base, 0o755);
    let directory: string;
    let mount: WritableMount;
    let bundle: Bundle;
    let count = 0;

    beforeEach(() => {
      directory = join(base, String(count++));
      fs.mkdirSync(directory);
      mount = new WritableMount(directory);
      fs.chmodSync(mount.mountPoint, 0o755);
      bundle = makeBundle(join(directory, 'bundle'), 4, FIRST_ID);
    });
    afterEach(() => {
      mount.discard();
      clear(mount.mountPoint);
    });
    afterAll(() => fs.rmSync(base, { recursive: true }));

    const container = (): string => `ckptfs-user-${process.pid}-${count}`;
    const paths = (): readonly string[] => ['--image-path', mount.mountPoint, '--work-path', join(directory, 'work')];

    /** Checkpoints the container into a new image, and seals that. */
    async function checkpoint(...options: readonly string[]): Promise<void> {
      mount.mount(...options);
      const namespace = await openNamespace();
      try {
        runc(namespace, directory, 'run', '--detach', '--bundle', bundle.directory, container());
        await waitForState(bundle.stateFile, (state) => state.passes >= 1);
        expect(fs.statSync(bundle.stateFile).uid).toBe(FIRST_ID);
        await whileAtRest(bundle.stateFile, () => runc(namespace, directory, 'checkpoint', ...paths(), container()));
      } finally {
        await namespace.close();
      }
      mount.unmount();
    }

    /** Restores it from a read-only mount, and waits until it counts on. */
    async function restore(...options: readonly string[]): Promise<void> {
      ckptfs('mount', mount.image, mount.mountPoint, '--key-file', mount.keyFile, ...options);
      const { passes } = readState(bundle.stateFile) ?? { passes: 0 };
      const namespace = await openNamespace();
      try {
        runc(namespace, directory, 'restore', '--detach', '--bundle', bundle.directory, ...paths(), container());
        const state = await waitForState(bundle.stateFile, (now) => now.passes >= passes + 2);
        expect(state.damaged).toEqual([]);
        runc(namespace, directory, 'delete', '--force', container());
      } finally {
        await namespace.close();
        ckptfs('umount', mount.mountPoint);
      }
    }

    const refused = /Unable to open .*: Permission denied/;
    /** What criu said last. */
    const log = (): string => fs.readFileSync(join(directory, 'work', 'restore.log'), 'utf8');

    systemTest(
      [],
      'is restored with --allow-other, and not without, when the root directory is like the mount point',
      async () => {
        await checkpoint();
        await expect(restore()).rejects.toThrow('criu failed');
        expect(log()).toMatch(refused);
        await restore('--allow-other');
      },
    );

    systemTest([], 'is restored with root_mode=0755 when the root directory is closed to it', async () => {
      await checkpoint('--root-mode', '0700');
      await expect(restore('--allow-other')).rejects.toThrow('criu failed');
      expect(log()).toMatch(refused);
      await restore('--allow-other', '-o', 'root_mode=0755');
    });
  },
);
