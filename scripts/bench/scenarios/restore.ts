import { join } from 'node:path';
import { clocked, run } from '../../lib/commands.ts';
import type { Bench } from '../bench.ts';
import { warm } from '../page-cache.ts';
import { present } from '../peers/all.ts';
import type { Converter, MountPeer } from '../peers/peer.ts';
import { type Checkpoint, checkpoint, type Restored, restore } from '../restoring.ts';
import type { Competitor, Group } from '../scenario.ts';
import { formatSize } from '../units.ts';
import { decryptThenRestore, mountIncluded } from './restore-names.ts';

/** A competitor that restores, however it gets the image files. */
function restoring(name: string, attempt: (use: (restored: Restored) => Promise<void>) => Promise<number>): Competitor {
  return {
    name,
    async verify() {
      await attempt((restored) => restored.check());
    },
    measure: () => attempt(async () => undefined),
  };
}

async function used(restored: Restored, use: (restored: Restored) => Promise<void>): Promise<number> {
  try {
    await use(restored);
    return restored.seconds;
  } finally {
    await restored.end();
  }
}

/** @param mountCounts whether the time to mount is part of the result */
export function fromMount(
  bench: Bench,
  peer: MountPeer,
  images: Checkpoint,
  name: string,
  mountCounts: boolean,
): Competitor {
  return restoring(name, async (use) => {
    const store = await bench.stored(peer, images);
    await warm(store);
    const { seconds, value: mount } = await clocked(() => peer.mount(store, bench.newMountPoint()));
    try {
      return (mountCounts ? seconds : 0) + (await used(await restore(images, mount.path), use));
    } finally {
      await mount.unmount();
    }
  });
}

/** Decrypts to memory and restores from there, as a user without such a file system does. */
export function afterDecrypting(bench: Bench, peer: Converter, images: Checkpoint): Competitor {
  const encrypted = join(bench.directory, `${images.name}-by-${peer.name}`);
  let made: Promise<unknown> | undefined;
  return restoring(decryptThenRestore(peer.name), async (use) => {
    made ??= run(...peer.encrypt(images.path, encrypted));
    await made;
    await warm(encrypted);
    const target = join(bench.memory, 'decrypted');
    await run('mkdir', target);
    try {
      return await used(await restore(images, target, peer.decrypt(encrypted, target)), use);
    } finally {
      await run('rm', '-rf', target);
    }
  });
}

export const restoreGroup: Group = {
  name: 'restore',
  heading: 'Restoring a checkpoint',
  method:
    '`criu restore` of processes full of random memory, each time in a fresh pid namespace, until criu says that they run. From a fresh mount, which does not count unless said so; or after decrypting to a tmpfs, which counts. The ciphertext is in the page cache. `openssl enc` does not authenticate what it decrypts.',
  async run(bench, measure) {
    const { ours, oursFuseNative, plain, gocryptfs, securefs, passthrough, age, openssl, gpg } = bench.peers;
    const { size } = bench.options;
    const kinds = [
      ['one', 1, `a process with ${formatSize(size)} of memory`],
      ['tree', 8, `8 processes with ${formatSize(size / 8)} of memory each`],
    ] as const;
    for (const [id, processes, what] of kinds) {
      const images = await checkpoint(bench, `checkpoint-${id}`, processes, size / processes / 1024);
      await measure({
        id: `restore-${id}`,
        title: `Restoring ${what}`,
        unit: 'seconds',
        better: 'lower',
        competitors: [
          ...present(plain, ours).map((peer) => fromMount(bench, peer, images, peer.name, false)),
          fromMount(bench, ours, images, mountIncluded, true),
          ...present(oursFuseNative, gocryptfs, securefs, passthrough).map((peer) =>
            fromMount(bench, peer, images, peer.name, false),
          ),
          ...present(age, openssl, gpg).map((peer) => afterDecrypting(bench, peer, images)),
        ],
      });
      await bench.remove(images);
      for (const peer of present(age, openssl, gpg)) {
        await run('rm', '-rf', join(bench.directory, `${images.name}-by-${peer.name}`));
      }
    }
  },
};
