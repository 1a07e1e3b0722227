// Goal: podman checkpoints into an encrypted image, and leaves on its own disk what docs/engines.md says.
// Method: a real container is exported and restored; podman's storage is on a disk that is searched.
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect } from 'vitest';
import { WritableMount } from '../support/writable-mount.ts';
import { ckptfs } from './support/ckptfs.ts';
import { readState, waitForState, whileAtRest } from './support/fixtures.ts';
import { openNamespace } from './support/namespace.ts';
import { Podman } from './support/podman.ts';
import { runProgram } from './support/programs.ts';
import { describeIf, systemTest } from './support/requirements.ts';

let base: string;
let mount: WritableMount;
const at = (...names: string[]): string => join(base, ...names);

beforeEach(() => {
  base = fs.realpathSync(fs.mkdtempSync(join(tmpdir(), 'ckptfs-podman-')));
  mount = new WritableMount(base);
  mount.mount();
});
afterEach(() => {
  mount.discard();
  fs.rmSync(base, { recursive: true });
});

const needs = ['root', 'fuse', 'criu', 'runc', 'namespaces', 'gcc', 'tar', 'podman'] as const;

describeIf(needs, 'podman', () => {
  systemTest([], 'exports a checkpoint to a mount that can be written, and restores from one that reads', async () => {
    const podman = new Podman(base);
    const archive = join(mount.mountPoint, 'checkpoint.tar.gz');
    const first = await openNamespace();
    let state: string;
    try {
      podman.makeImage(first);
      state = podman.start(first, 'one');
      await waitForState(state, (now) => now.passes >= 1);
      const checkpoint = ['container', 'checkpoint', '--compress=gzip', `--export=${archive}`, 'one'];
      await whileAtRest(state, () => podman.run(first, ...checkpoint));
      podman.run(first, 'rm', '-f', 'one');
    } finally {
      await first.close();
    }
    const { passes } = readState(state) ?? { passes: 0 };
    mount.unmount();
    mount.run('verify');
    ckptfs('mount', mount.image, mount.mountPoint, '--key-file', mount.keyFile);
    expect(runProgram('tar', '-tzf', archive)).toContain('checkpoint/pages-1.img\n');
    const second = await openNamespace();
    try {
      podman.run(second, 'container', 'restore', `--import=${archive}`);
      expect((await waitForState(state, (now) => now.passes >= passes + 2)).damaged).toEqual([]);
      podman.run(second, 'rm', '-f', '-t', '0', 'one');
    } finally {
      await second.close();
      ckptfs('umount', mount.mountPoint);
    }
  });

  /**
   * Checkpoints and restores a container whose storage is on a disk of its own.
   * @param recipe whether podman's containers and temporary files are kept in memory, as docs/engines.md says
   * @returns for memory and /dev/shm of the container whether the raw disk holds it in clear
   */
  async function leftOnDisk(recipe: boolean): Promise<Record<string, boolean>> {
    const memory = fs.mkdtempSync('/dev/shm/ckptfs-podman-');
    const [device, disk, archive] = [
      join(memory, 'device'),
      at('disk'),
      join(mount.mountPoint, 'checkpoint.tar'),
    ] as const;
    fs.writeFileSync(device, '');
    fs.truncateSync(device, 256 << 20);
    fs.mkdirSync(disk);
    runProgram('mkfs.ext4', '-q', device);
    // By `sync`, or what is removed soon would never be written, which a busy disk does not promise.
    runProgram('mount', '-o', 'loop,sync', device, disk);
    const note = Buffer.from(`note-${Math.random()}-${process.pid}-in-shared-memory`);
    try {
      const podman = new Podman(base, { storage: disk, temporary: recipe ? memory : disk });
      const namespace = await openNamespace();
      try {
        podman.makeImage(namespace);
        if (recipe) {
          const containers = join(podman.store, 'vfs-containers');
          const mounted = namespace.run('mount', '-t', 'tmpfs', '-o', 'mode=0700', 'tmpfs', containers);
          expect(mounted).toMatchObject({ status: 0 });
        }
        const state = podman.start(namespace, 'one');
        const { passes } = await waitForState(state, (now) => now.passes >= 1);
        const shared = `${podman.run(namespace, 'inspect', '--format', '{{.StaticDir}}', 'one')}/shm/note`;
        const write = namespace.run('sh', '-c', 'printf %s "$1" > "$2"', 'sh', note.toString(), shared);
        expect(write).toMatchObject({ status: 0 });
        const checkpoint = ['container', 'checkpoint', '--compress=none', `--export=${archive}`, 'one'];
        await whileAtRest(state, () => podman.run(namespace, ...checkpoint));
        podman.run(namespace, 'rm', 'one');
        podman.run(namespace, 'container', 'restore', `--import=${archive}`);
        expect((await waitForState(state, (now) => now.passes >= passes + 2)).damaged).toEqual([]);
        podman.run(namespace, 'rm', '-f', '-t', '0', 'one');
      } finally {
        await namespace.close();
      }
    } finally {
      runProgram('umount', disk);
    }
    const [bytes, dumped] = [fs.readFileSync(device), fs.readFileSync(archive)];
    fs.rmSync(memory, { recursive: true });
    const left: Record<string, boolean> = {};
    for (const [name, needle] of Object.entries({ memory: memoryOfCounter(), shared: note })) {
      expect(dumped.includes(needle), `${name} is in the archive`).toBe(true);
      left[name] = bytes.includes(needle);
    }
    return left;
  }

  systemTest(['loop'], 'leaves memory and /dev/shm in clear in its own storage, as docs/engines.md says', async () => {
    expect(await leftOnDisk(false)).toEqual({ memory: true, shared: true });
  });

  systemTest(['loop'], 'leaves nothing there by the recipe of docs/engines.md', async () => {
    expect(await leftOnDisk(true)).toEqual({ memory: false, shared: false });
  });
});

/** The first words of the memory that the fixture `counter` fills: no file has them but a dump. */
function memoryOfCounter(): Buffer {
  const bits = (value: bigint): bigint => BigInt.asUintN(64, value);
  const words = Buffer.alloc(64);
  for (let index = 0; index < 8; index++) {
    let z = bits(BigInt(index + 1) * 0x9e3779b97f4a7c15n);
    z = bits((z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n);
    z = bits((z ^ (z >> 27n)) * 0x94d049bb133111ebn);
    words.writeBigUInt64LE(z ^ (z >> 31n), index * 8);
  }
  return words;
}
