import { join } from 'node:path';
import { clocked, run } from '../../lib/commands.ts';
import type { Bench } from '../bench.ts';
import type { Checkpoint } from '../checkpoint.ts';
import { warm } from '../page-cache.ts';
import type { Way } from '../passing.ts';
import type { Converter, MountPeer } from '../peers/peer.ts';
import { type Restored, restore } from '../restoring.ts';
import { decryptThenRestore, lazily } from './restore-names.ts';

/** How long a restore took, in seconds from its start. */
export interface RestoreTimes {
  /** Until criu said that the processes run. */
  readonly runs: number;
  /** Until the last of them had read all of its memory. */
  readonly all: number;
}

/** Waits until restored processes have read and compared their memory, and ends them. */
async function timesOf(restored: Restored): Promise<RestoreTimes> {
  try {
    const all = await restored.readAll();
    return { runs: restored.runs - restored.began, all: all - restored.began };
  } finally {
    await restored.end();
  }
}

export interface MountedRestore {
  /** What tables call it; as the peer unless told. */
  readonly name?: string;
  readonly lazy?: boolean;
  /** Whether the time to mount is part of the result. */
  readonly mountCounts?: boolean;
}

/** Restores from a fresh mount whose stored form is in the page cache. */
export function fromMount(
  bench: Bench,
  peer: MountPeer,
  images: Checkpoint,
  { lazy = false, name = lazy ? lazily(peer.name) : peer.name, mountCounts = false }: MountedRestore = {},
): Way<RestoreTimes> {
  return {
    name,
    async measure() {
      const store = await bench.stored(peer, images);
      await warm(store);
      const { seconds, value: mount } = await clocked(() => peer.mount(store, bench.newMountPoint()));
      try {
        const { runs, all } = await timesOf(await restore(images, mount.path, { lazy }));
        const before = mountCounts ? seconds : 0;
        return { runs: before + runs, all: before + all };
      } finally {
        await mount.unmount();
      }
    },
  };
}

/** Decrypts to memory and restores from there, as a user without such a file system does. */
export function afterDecrypting(bench: Bench, peer: Converter, images: Checkpoint): Way<RestoreTimes> {
  const encrypted = encryptedBy(bench, peer, images);
  let made: Promise<unknown> | undefined;
  return {
    name: decryptThenRestore(peer.name),
    async measure() {
      made ??= run(...peer.encrypt(images.path, encrypted));
      await made;
      await warm(encrypted);
      const target = join(bench.memory, 'decrypted');
      await run('mkdir', target);
      try {
        return await timesOf(await restore(images, target, { before: peer.decrypt(encrypted, target) }));
      } finally {
        await run('rm', '-rf', target);
      }
    },
  };
}

/** Where {@link afterDecrypting} keeps what a peer encrypted. */
export function encryptedBy(bench: Bench, peer: Converter, images: Checkpoint): string {
  return join(bench.directory, `${images.name}-by-${peer.name}`);
}
