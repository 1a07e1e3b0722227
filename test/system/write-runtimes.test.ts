// Goal: runc and crun checkpoint into an image on a host that has a certificate alone, restore on one that has the
// private key, and leave on a disk what docs/engines.md says.
// Method: real containers; all that is on a disk is on one whose blocks are searched for contents and names.
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect } from 'vitest';
import { ckptfs } from './support/ckptfs.ts';
import { makeBundle, type Runtime, runRuntime } from './support/containers.ts';
import { memoryOfCounter, readState, waitForState, whileAtRest } from './support/fixtures.ts';
import { clear } from './support/mounts.ts';
import { type Namespace, openNamespace } from './support/namespace.ts';
import { NAMES_OF_A_DUMP, RawDisk } from './support/raw-disk.ts';
import { makeRecipient } from './support/recipient.ts';
import { describeIf, systemTest } from './support/requirements.ts';

let memory: string;
let base: string;
let disk: RawDisk;
const inMemory = (...names: string[]): string => join(memory, ...names);
const onDisk = (...names: string[]): string => join(base, 'disk', ...names);

beforeEach(() => {
  memory = fs.mkdtempSync('/dev/shm/ckptfs-runtimes-');
  base = fs.realpathSync(fs.mkdtempSync(join(tmpdir(), 'ckptfs-runtimes-')));
  disk = new RawDisk(memory, onDisk());
  for (const directory of [inMemory('work'), join(base, 'mnt')]) fs.mkdirSync(directory);
});
afterEach(() => {
  clear(join(base, 'mnt'));
  clear(onDisk());
  for (const directory of [memory, base]) fs.rmSync(directory, { recursive: true });
});

const needs = ['root', 'fuse', 'criu', 'namespaces', 'loop', 'gcc', 'runc'] as const;

describeIf(needs, 'leaves no memory and no name of a dump on a disk', () => {
  const runtimes: readonly Runtime[] = ['runc', 'crun'];
  for (const runtime of runtimes) {
    systemTest([runtime], runtime, async () => {
      const [mountPoint, image] = [join(base, 'mnt'), onDisk('enc')];
      const { certificate, privateKey } = makeRecipient(onDisk(), memory);
      const bundle = makeBundle(onDisk('bundle'), 4);
      // Or criu makes all groups of this machine once more, below that of the container, and leaves them.
      const groups = runtime === 'crun' ? ['--manage-cgroups=ignore'] : [];
      const paths = ['--image-path', mountPoint, '--work-path', inMemory('work'), ...groups];
      const container = `ckptfs-${runtime}-${process.pid}`;

      ckptfs('mount', '--write', image, mountPoint, '--recipient', certificate);
      const first = await openHost();
      try {
        runRuntime(runtime, first, onDisk(), 'run', '--detach', '--bundle', bundle.directory, container);
        await waitForState(bundle.stateFile, ({ passes }) => passes >= 1);
        await whileAtRest(bundle.stateFile, () =>
          runRuntime(runtime, first, onDisk(), 'checkpoint', ...paths, container),
        );
      } finally {
        await first.close();
      }
      const { passes: before } = readState(bundle.stateFile) ?? { passes: 0 };
      expect(fs.readdirSync(mountPoint)).toEqual(expect.arrayContaining([...NAMES_OF_A_DUMP, 'descriptors.json']));
      expect(fs.readFileSync(join(mountPoint, 'pages-1.img')).includes(memoryOfCounter())).toBe(true);
      ckptfs('umount', mountPoint);

      ckptfs('mount', image, mountPoint, '--private-key', privateKey);
      const second = await openHost();
      try {
        runRuntime(runtime, second, onDisk(), 'restore', '--detach', '--bundle', bundle.directory, ...paths, container);
        const { damaged } = await waitForState(bundle.stateFile, ({ passes }) => passes >= before + 2);
        expect(damaged).toEqual([]);
        runRuntime(runtime, second, onDisk(), 'delete', '--force', container);
      } finally {
        await second.close();
      }
      ckptfs('umount', mountPoint);

      disk.unmount();
      const names = [...NAMES_OF_A_DUMP, 'descriptors.json'];
      expect(disk.holds(needles([...names, container, 'config.json']))).toEqual({
        ...Object.fromEntries(['memory', ...names].map((name) => [name, false])),
        // What the table says is in clear.
        [container]: true,
        'config.json': true,
      });
    });
  }
});

/** The memory of the container, and these words. */
function needles(words: readonly string[]): Record<string, string | Buffer> {
  return { memory: memoryOfCounter(), ...Object.fromEntries(words.map((word) => [word, word])) };
}

/** A namespace without the second version of control groups where both are mixed, which crun refuses. */
async function openHost(): Promise<Namespace> {
  const namespace = await openNamespace();
  if (fs.existsSync('/sys/fs/cgroup/unified/cgroup.procs')) namespace.run('umount', '/sys/fs/cgroup/unified');
  return namespace;
}
