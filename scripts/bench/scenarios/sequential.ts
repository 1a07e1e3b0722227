import fs from 'node:fs';
import { timed } from '../../lib/commands.ts';
import { type Bench, type Dataset, randomDataset } from '../bench.ts';
import { evict, warm } from '../page-cache.ts';
import { present } from '../peers/all.ts';
import type { MountPeer } from '../peers/peer.ts';
import type { Competitor, Group, Scenario } from '../scenario.ts';
import { formatSize } from '../units.ts';
import { compare, largeFile, readers, variants } from './reading.ts';

async function bytesPerSecond(
  bench: Bench,
  peer: MountPeer,
  data: Dataset,
  flags: readonly string[] = [],
): Promise<number> {
  return bench.mounted(peer, data, async (path) => {
    const read = ['dd', `if=${largeFile(path)}`, 'of=/dev/null', 'bs=1M', 'status=none', ...flags] as const;
    return fs.statSync(largeFile(path)).size / (await timed(...read));
  });
}

/** Measures bytes per second of reading the large file in sequence, its stored form in the page cache. */
export async function readingRate(
  bench: Bench,
  peer: MountPeer,
  data: Dataset,
  flags: readonly string[] = [],
): Promise<number> {
  await warm(await bench.stored(peer, data));
  return bytesPerSecond(bench, peer, data, flags);
}

export const sequential: Group = {
  name: 'sequential',
  heading: 'Reading from start to end',
  method:
    'One large file of random bytes is read with `dd bs=1M` from a fresh mount; mounting does not count. "Direct" is a mount with `--page-files direct`: the page cache of the mount is not used, whatever program reads. "Plain directory" is the same file without any file system on top.',
  async run(bench, measure) {
    const data = await bench.large();
    const size = formatSize(bench.options.size);
    const scenario = (
      id: string,
      title: string,
      competitor: (peer: MountPeer) => Omit<Competitor, 'name'>,
      peers: readonly MountPeer[] = readers(bench),
    ): Scenario => ({
      id,
      title,
      unit: 'bytes per second',
      better: 'higher',
      competitors: peers.map((peer) => ({ name: peer.name, ...competitor(peer) })),
    });
    await measure(
      scenario(
        'sequential-cached',
        `Reading ${size} in sequence, ciphertext in the page cache`,
        (peer) => ({
          verify: () => compare(bench, peer, data),
          measure: () => readingRate(bench, peer, data),
        }),
        [...readers(bench), ...variants(bench)],
      ),
    );
    await measure(
      scenario(
        'sequential-direct',
        `Reading ${size} in sequence with O_DIRECT, ciphertext in the page cache`,
        (peer) => ({ measure: () => readingRate(bench, peer, data, ['iflag=direct']) }),
      ),
    );
    await measure(
      scenario('sequential-uncached', `Reading ${size} in sequence, ciphertext out of the page cache`, (peer) => ({
        async measure() {
          await evict(await bench.stored(peer, data));
          return bytesPerSecond(bench, peer, data);
        },
      })),
    );
    if (bench.options.full && bench.measures('sequential-large')) await readLarge(bench, measure);
  },
};

/** Reads a file of four times the size. */
async function readLarge(bench: Bench, measure: Parameters<Group['run']>[1]): Promise<void> {
  const bytes = 4 * bench.options.size;
  const { ours, before, plain, gocryptfs } = bench.peers;
  const data = await randomDataset(bench, 'larger', bytes);
  await measure({
    id: 'sequential-large',
    title: `Reading ${formatSize(bytes)} in sequence, ciphertext in the page cache`,
    unit: 'bytes per second',
    better: 'higher',
    competitors: present<MountPeer>(plain, ours, before, gocryptfs).map((peer) => ({
      name: peer.name,
      measure: () => readingRate(bench, peer, data),
    })),
  });
  await bench.remove(data);
}
