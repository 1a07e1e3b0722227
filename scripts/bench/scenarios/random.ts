import { run } from '../../lib/commands.ts';
import type { Bench, Dataset } from '../bench.ts';
import { warm } from '../page-cache.ts';
import { names } from '../peers/names.ts';
import type { MountPeer } from '../peers/peer.ts';
import type { Group } from '../scenario.ts';
import { compare, largeFile, readers } from './reading.ts';

/** Measures random reads of 4 KiB per second through a fresh mount. @param seed makes the order of the reads */
export async function randomReads(
  bench: Bench,
  peer: MountPeer,
  data: Dataset,
  concurrent: number,
  seed: number,
): Promise<number> {
  const program = await bench.compiled('random-reads');
  const duration = bench.options.quick ? 0.4 : 3;
  await warm(await bench.stored(peer, data));
  return bench.mounted(peer, data, async (path) =>
    Number(await run(program, largeFile(path), `${concurrent}`, `${duration}`, `${seed}`)),
  );
}

export const random: Group = {
  name: 'random',
  heading: 'Reading at random',
  method:
    'Blocks of 4 KiB in shuffled order, each read at most once, so that no answer comes from the cache of the mount. Fresh mount, ciphertext in the page cache, read-ahead off (`POSIX_FADV_RANDOM`).',
  async run(bench, measure) {
    const data = await bench.large();
    for (const concurrent of [1, 4, 16]) {
      await measure({
        id: `random-${concurrent}`,
        title: `Random reads of 4 KiB by ${concurrent} reader${concurrent > 1 ? 's' : ''}`,
        unit: 'reads per second',
        better: 'higher',
        // The plain directory takes no part: its reads would come from the page cache alone.
        competitors: readers(bench)
          .filter(({ name }) => name !== names.plain)
          .map((peer) => ({
            name: peer.name,
            ...(concurrent === 1 && { verify: () => compare(bench, peer, data) }),
            measure: (round) => randomReads(bench, peer, data, concurrent, round + 1),
          })),
      });
    }
  },
};
