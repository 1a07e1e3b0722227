import type { Bench } from '../bench.ts';
import { timed } from '../commands.ts';
import { warm } from '../page-cache.ts';
import { tricks } from '../peers/altered.ts';
import type { Ckptfs } from '../peers/ckptfs.ts';
import type { Group } from '../scenario.ts';
import { formatSize } from '../units.ts';
import { randomReads } from './random.ts';
import { largeFile } from './reading.ts';

async function sequentially(bench: Bench, peer: Ckptfs): Promise<number> {
  const data = await bench.large();
  await warm(await bench.stored(peer, data));
  return bench.mounted(peer, data, async (path) => {
    const read = ['dd', `if=${largeFile(path)}`, 'of=/dev/null', 'bs=1M', 'status=none'] as const;
    return bench.options.size / (await timed(...read));
  });
}

export const tricksGroup: Group = {
  name: 'tricks',
  heading: 'What each trick brings',
  method:
    'ckptfs as it is against ckptfs with one thing taken out of what was built, each on a fresh mount. A trick whose row is no slower than the first one has lost its reason to be in the code.',
  async run(bench, measure) {
    const { ours } = bench.peers;
    const peers = [ours, ...tricks.map((trick) => ours.without(trick))];
    await measure({
      id: 'tricks-sequential',
      title: `Reading ${formatSize(bench.options.size)} in sequence, with all tricks and without one`,
      unit: 'bytes per second',
      better: 'higher',
      competitors: peers.map((peer) => ({ name: peer.name, measure: () => sequentially(bench, peer) })),
    });
    for (const concurrent of [1, 4]) {
      await measure({
        id: `tricks-random-${concurrent}`,
        title: `Random reads of 4 KiB by ${concurrent} reader${concurrent > 1 ? 's' : ''}, with all tricks and without one`,
        unit: 'reads per second',
        better: 'higher',
        competitors: peers.map((peer) => ({
          name: peer.name,
          measure: async (round) => randomReads(bench, peer, await bench.large(), concurrent, round + 1),
        })),
      });
    }
  },
};
