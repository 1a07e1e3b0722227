import type { Bench } from '../bench.ts';
import { type Checkpoint, checkpoint } from '../checkpoint.ts';
import { warm } from '../page-cache.ts';
import { present } from '../peers/all.ts';
import type { MountPeer } from '../peers/peer.ts';
import { type Restored, restore } from '../restoring.ts';
import type { Group } from '../scenario.ts';
import { formatSize } from '../units.ts';

/**
 * Restores the same checkpoint several times at once from one mount.
 * @returns seconds from the start of the first one until the last one runs
 * @throws Error when one fails, or finds other memory than was dumped
 */
async function restoreAtOnce(images: Checkpoint, path: string, count: number): Promise<number> {
  const attempts = Array.from({ length: count }, () => restore(images, path, { waits: true }));
  const settled = await Promise.allSettled(attempts);
  const all = settled.flatMap((result): Restored[] => (result.status === 'fulfilled' ? [result.value] : []));
  try {
    await Promise.all(attempts);
    await Promise.all(all.map((restored) => restored.readAll()));
  } finally {
    await Promise.all(all.map((restored) => restored.end()));
  }
  return Math.max(...all.map(({ runs }) => runs)) - Math.min(...all.map(({ began }) => began));
}

async function fromOneMount(bench: Bench, peer: MountPeer, images: Checkpoint, count: number): Promise<number> {
  const store = await bench.stored(peer, images);
  await warm(store);
  return bench.mountedStore(peer, store, (path) => restoreAtOnce(images, path, count));
}

export const many: Group = {
  name: 'many',
  heading: 'Several restores at once',
  method:
    'Several `criu restore` of one checkpoint that start together, each in a pid namespace of its own, from one fresh mount, until the last process runs. All read and compare their memory afterwards, which does not count.',
  async run(bench, measure) {
    const { ours, oursUring, before, plain, gocryptfs, passthrough } = bench.peers;
    const bytes = bench.options.size / 4;
    const images = await checkpoint(bench, 'checkpoint-many', 1, bytes / 1024);
    for (const count of [1, 4, 8]) {
      await measure({
        id: `restore-${count}`,
        title: `${count === 1 ? 'One restore' : `${count} restores at once`} from one mount, of a process with ${formatSize(bytes)} of memory`,
        unit: 'seconds',
        better: 'lower',
        competitors: present<MountPeer>(plain, ours, oursUring, before, gocryptfs, passthrough).map((peer) => ({
          name: peer.name,
          measure: () => fromOneMount(bench, peer, images, count),
        })),
      });
    }
    await bench.remove(images);
  },
};
