import { run } from '../../lib/commands.ts';
import type { Bench, Dataset } from '../bench.ts';
import { warm } from '../page-cache.ts';
import { present } from '../peers/all.ts';
import { names } from '../peers/names.ts';
import type { MountPeer } from '../peers/peer.ts';
import type { Group } from '../scenario.ts';
import { compare, largeFile, readers, variants } from './reading.ts';

interface Reading {
  readonly readers: number;
  /** Makes the order of the reads. */
  readonly seed: number;
  /** Seconds that count; unless told, as long as suits the run. */
  readonly seconds?: number;
  /** Seconds of such reads that come before and do not count. */
  readonly before?: number;
}

/** Measures random reads of 4 KiB per second through a fresh mount. */
export async function randomReads(
  bench: Bench,
  peer: MountPeer,
  data: Dataset,
  { readers: count, seed, seconds = usualSeconds(bench), before = 0 }: Reading,
): Promise<number> {
  const program = await bench.compiled('random-reads');
  await warm(await bench.stored(peer, data));
  return bench.mounted(peer, data, async (path) =>
    Number(await run(program, largeFile(path), `${count}`, `${seconds}`, `${seed}`, `${before}`)),
  );
}

function usualSeconds({ options: { quick, targets } }: Bench): number {
  return quick ? 0.4 : targets ? 1.5 : 3;
}

const EARLY_SECONDS = 1;
const EARLY_READERS = 4;

/** Compares a daemon that has just started with one that has read for a minute. */
async function earlyAndLate(bench: Bench, measure: Parameters<Group['run']>[1], data: Dataset): Promise<void> {
  const { ours, oursUring, before: earlier, gocryptfs } = bench.peers;
  const minute = bench.options.quick ? 3 : 60;
  for (const [id, when, before] of [
    ['random-early', 'in the first second', 0],
    ['random-late', `after ${minute} seconds of such reads`, minute],
  ] as const) {
    await measure({
      id,
      title: `Random reads of 4 KiB by ${EARLY_READERS} readers, ${when}`,
      unit: 'reads per second',
      better: 'higher',
      competitors: present<MountPeer>(ours, oursUring, earlier, gocryptfs).map((peer) => ({
        name: peer.name,
        measure: (round) =>
          randomReads(bench, peer, data, { readers: EARLY_READERS, seed: round + 1, seconds: EARLY_SECONDS, before }),
      })),
    });
  }
}

export const random: Group = {
  name: 'random',
  heading: 'Reading at random',
  method:
    'Blocks of 4 KiB in shuffled order, each read at most once, so that no answer comes from the cache of the mount. Fresh mount, ciphertext in the page cache, read-ahead off (`POSIX_FADV_RANDOM`). Where such reads come before and do not count, the page cache of the mount is dropped after each pass.',
  async run(bench, measure) {
    const data = await bench.large();
    for (const concurrent of [1, 4, 16]) {
      await measure({
        id: `random-${concurrent}`,
        title: `Random reads of 4 KiB by ${concurrent} reader${concurrent > 1 ? 's' : ''}`,
        unit: 'reads per second',
        better: 'higher',
        // The plain directory takes no part: its reads would come from the page cache alone.
        competitors: [...readers(bench), ...variants(bench)]
          .filter(({ name }) => name !== names.plain)
          .map((peer) => ({
            name: peer.name,
            ...(concurrent === 1 && { verify: () => compare(bench, peer, data) }),
            measure: (round) => randomReads(bench, peer, data, { readers: concurrent, seed: round + 1 }),
          })),
      });
    }
    if (bench.measures('random-early')) await earlyAndLate(bench, measure, data);
  },
};
