// Goal: podman checkpoints into an image on a host that has a certificate alone, restores on one that has the private
// key, and leaves on a disk what docs/engines.md says.
// Method: real containers; all that is on a disk is on one whose blocks are searched for contents and names.
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect } from 'vitest';
import { ckptfs } from './support/ckptfs.ts';
import { memoryOfCounter, readState, waitForState, whileAtRest } from './support/fixtures.ts';
import { clear } from './support/mounts.ts';
import { type Namespace, openNamespace } from './support/namespace.ts';
import { Podman } from './support/podman.ts';
import { runProgram } from './support/programs.ts';
import { NAMES_OF_A_DUMP, RawDisk } from './support/raw-disk.ts';
import { makeRecipient, type Recipient } from './support/recipient.ts';
import { describeIf, systemTest } from './support/requirements.ts';

/** Where podman's containers and temporary files are: without a recipe, or by one of docs/engines.md. */
type Containers = 'disk' | 'tmpfs' | 'ckptfs';

let memory: string;
let base: string;
let disk: RawDisk;
let recipient: Recipient;
const at = (...names: string[]): string => join(base, ...names);
const inMemory = (...names: string[]): string => join(memory, ...names);

beforeEach(() => {
  memory = fs.mkdtempSync('/dev/shm/ckptfs-podman-');
  base = fs.realpathSync(fs.mkdtempSync(join(tmpdir(), 'ckptfs-podman-')));
  disk = new RawDisk(memory, at('disk'));
  for (const directory of [inMemory('tmp'), at('containers'), at('disk', 'checkpoints')]) fs.mkdirSync(directory);
  runProgram('chattr', '+i', at('disk', 'checkpoints'));
  recipient = makeRecipient(base, memory);
});
afterEach(() => {
  for (const name of ['disk/checkpoints', 'containers', 'disk']) clear(at(name));
  for (const directory of [memory, base]) fs.rmSync(directory, { recursive: true });
});

/** A host whose podman has its storage on the disk, with its containers where they are to be. */
async function openHost(podman: Podman, containers: Containers): Promise<Namespace> {
  const namespace = await openNamespace();
  const over = join(podman.store, 'vfs-containers');
  fs.mkdirSync(over, { recursive: true });
  const mounting = {
    disk: ['true'],
    tmpfs: ['mount', '-t', 'tmpfs', '-o', 'mode=0700', 'tmpfs', over],
    ckptfs: ['mount', '--bind', at('containers', 'containers'), over],
  } as const;
  const [program, ...args] = mounting[containers];
  expect(namespace.run(program, ...args)).toMatchObject({ status: 0 });
  return namespace;
}

/**
 * Checkpoints a container, restores it on another host, and searches the disk that has the storage of podman and the
 * image for the archive.
 * @returns for memory, /dev/shm and arguments of the container, and for names of the dump, whether the disk has them
 */
async function leftOnDisk(containers: Containers): Promise<Record<string, boolean>> {
  const shared = `note-${Math.random()}-${process.pid}-in-shared-memory`;
  const names = Object.fromEntries(NAMES_OF_A_DUMP.map((name) => [name, name]));
  const needles = { memory: memoryOfCounter(), shared, ...names };
  const [image, checkpoints] = [at('disk', 'enc'), at('disk', 'checkpoints')];
  const archive = join(checkpoints, 'checkpoint-pod_default-one-2026-11-29T12:00:00Z.tar');
  if (containers === 'ckptfs') {
    ckptfs('mount', '--write', at('disk', 'containers'), at('containers'), '--recipient', recipient.certificate);
    for (const name of ['containers', 'tmp']) fs.mkdirSync(at('containers', name), { mode: 0o700 });
  }
  const temporary = { disk: at('disk'), tmpfs: inMemory('tmp'), ckptfs: at('containers', 'tmp') }[containers];
  const podman = new Podman(base, { storage: at('disk'), temporary });

  ckptfs('mount', '--write', image, checkpoints, '--recipient', recipient.certificate);
  const first = await openHost(podman, containers);
  let state: string;
  try {
    podman.makeImage(first);
    state = podman.start(first, 'one');
    await waitForState(state, ({ passes }) => passes >= 1);
    const note = `${podman.run(first, 'inspect', '--format', '{{.StaticDir}}', 'one')}/shm/note`;
    const write = first.run('sh', '-c', 'printf %s "$1" > "$2"', 'sh', shared, note);
    expect(write).toMatchObject({ status: 0 });
    const checkpoint = ['container', 'checkpoint', '--compress=none', `--export=${archive}`, 'one'];
    await whileAtRest(state, () => podman.run(first, ...checkpoint));
    podman.run(first, 'rm', 'one');
  } finally {
    await first.close();
  }
  const { passes: before } = readState(state) ?? { passes: 0 };
  ckptfs('umount', checkpoints);
  expect(() => fs.writeFileSync(archive, 'in clear')).toThrow('EPERM');

  ckptfs('mount', image, checkpoints, '--private-key', recipient.privateKey);
  const dumped = fs.readFileSync(archive);
  for (const [name, needle] of Object.entries(needles)) expect([name, dumped.includes(needle)]).toEqual([name, true]);
  const second = await openHost(podman, containers);
  try {
    podman.run(second, 'container', 'restore', `--import=${archive}`);
    expect((await waitForState(state, ({ passes }) => passes >= before + 2)).damaged).toEqual([]);
    podman.run(second, 'rm', '-f', '-t', '0', 'one');
  } finally {
    await second.close();
  }
  ckptfs('umount', checkpoints);
  if (containers === 'ckptfs') ckptfs('umount', at('containers'));
  disk.unmount();
  return disk.holds({ ...needles, arguments: '"/state/count","16"' });
}

/** The arguments are in podman's database whatever is done. */
const everything = (left: boolean): Record<string, boolean> => ({
  ...Object.fromEntries(['memory', 'shared', ...NAMES_OF_A_DUMP].map((name) => [name, left])),
  arguments: true,
});

describeIf(['root', 'fuse', 'criu', 'runc', 'namespaces', 'gcc', 'tar', 'podman', 'loop'], 'podman', () => {
  systemTest([], 'leaves all in clear in its own storage, as docs/engines.md says', async () => {
    expect(await leftOnDisk('disk')).toEqual(everything(true));
  });

  systemTest([], 'leaves nothing there with its containers on a tmpfs', async () => {
    expect(await leftOnDisk('tmpfs')).toEqual(everything(false));
  });

  systemTest([], 'leaves nothing there with its containers on a mount that can be written', async () => {
    expect(await leftOnDisk('ckptfs')).toEqual(everything(false));
  });
});
