import { timed } from '../../lib/commands.ts';
import type { Bench, Dataset } from '../bench.ts';
import { evict, warm } from '../page-cache.ts';
import type { MountPeer } from '../peers/peer.ts';
import type { Competitor, Group, Scenario } from '../scenario.ts';
import { formatSize } from '../units.ts';
import { compare, largeFile, readers } from './reading.ts';

async function bytesPerSecond(bench: Bench, peer: MountPeer, data: Dataset, flags: readonly string[]): Promise<number> {
  return bench.mounted(peer, data, async (path) => {
    const read = ['dd', `if=${largeFile(path)}`, 'of=/dev/null', 'bs=1M', 'status=none', ...flags] as const;
    return bench.options.size / (await timed(...read));
  });
}

export const sequential: Group = {
  name: 'sequential',
  heading: 'Reading from start to end',
  method:
    'One large file of random bytes is read with `dd bs=1M` from a fresh mount; mounting does not count. "Plain directory" is the same file without any file system on top.',
  async run(bench, measure) {
    const data = await bench.large();
    const size = formatSize(bench.options.size);
    const scenario = (
      id: string,
      title: string,
      competitor: (peer: MountPeer) => Omit<Competitor, 'name'>,
    ): Scenario => ({
      id,
      title,
      unit: 'bytes per second',
      better: 'higher',
      competitors: readers(bench).map((peer) => ({ name: peer.name, ...competitor(peer) })),
    });
    await measure(
      scenario('sequential-cached', `Reading ${size} in sequence, ciphertext in the page cache`, (peer) => ({
        verify: () => compare(bench, peer, data),
        async measure() {
          await warm(await bench.stored(peer, data));
          return bytesPerSecond(bench, peer, data, []);
        },
      })),
    );
    await measure(
      scenario(
        'sequential-direct',
        `Reading ${size} in sequence with O_DIRECT, ciphertext in the page cache`,
        (peer) => ({
          async measure() {
            await warm(await bench.stored(peer, data));
            return bytesPerSecond(bench, peer, data, ['iflag=direct']);
          },
        }),
      ),
    );
    await measure(
      scenario('sequential-uncached', `Reading ${size} in sequence, ciphertext out of the page cache`, (peer) => ({
        async measure() {
          await evict(await bench.stored(peer, data));
          return bytesPerSecond(bench, peer, data, []);
        },
      })),
    );
  },
};
