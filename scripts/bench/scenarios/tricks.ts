import { bash, timed } from '../../lib/commands.ts';
import type { Bench } from '../bench.ts';
import { checkpoint } from '../checkpoint.ts';
import { warm } from '../page-cache.ts';
import { Passing } from '../passing.ts';
import { type Trick, tricks } from '../peers/altered.ts';
import type { Ckptfs } from '../peers/ckptfs.ts';
import type { Group } from '../scenario.ts';
import { formatSize } from '../units.ts';
import { randomReads } from './random.ts';
import { largeFile } from './reading.ts';
import { fromMount, type RestoreTimes } from './restoring-ways.ts';
import { mountAndRun } from './small-files.ts';
import { manyFiles } from './small-reads.ts';
import { writeNew } from './written.ts';

async function sequentially(bench: Bench, peer: Ckptfs): Promise<number> {
  const data = await bench.large();
  await warm(await bench.stored(peer, data));
  return bench.mounted(peer, data, async (path) => {
    const read = ['dd', `if=${largeFile(path)}`, 'of=/dev/null', 'bs=1M', 'status=none'] as const;
    return bench.options.size / (await timed(...read));
  });
}

async function written(bench: Bench, peer: Ckptfs): Promise<number> {
  const source = largeFile((await bench.large()).path);
  await warm(source);
  const { value } = await writeNew(bench, peer, (path) =>
    timed('dd', `if=${source}`, `of=${largeFile(path)}`, 'bs=1M', 'status=none'),
  );
  return bench.options.size / value;
}

export const tricksGroup: Group = {
  name: 'tricks',
  heading: 'What each trick brings',
  method:
    'ckptfs as it is against ckptfs built without one thing, each on a fresh mount. A trick whose row is no slower than the first one has lost its reason to be in the code.',
  async run(bench, measure) {
    const { ours } = bench.peers;
    const peersOf = async (some: readonly Trick[]): Promise<Ckptfs[]> => [
      ours,
      ...(await Promise.all(some.map((trick) => ours.without(trick)))),
    ];
    const peers = await peersOf(tricks.reading);
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
          measure: async (round) =>
            randomReads(bench, peer, await bench.large(), { readers: concurrent, seed: round + 1 }),
        })),
      });
    }
    const images = await checkpoint(bench, 'checkpoint-tricks', 1, bench.options.size / 1024);
    await measure({
      id: 'tricks-restoring',
      title: `Restoring a process with ${formatSize(bench.options.size)} of memory, with all tricks and without one`,
      unit: 'seconds',
      better: 'lower',
      competitors: new Passing<RestoreTimes>().measuring(
        (await peersOf(tricks.restoring)).map((peer) => fromMount(bench, peer, images)),
        ({ runs }) => runs,
      ),
    });
    await bench.remove(images);
    await measure({
      id: 'tricks-writing',
      title: `Writing ${formatSize(bench.options.size)} in sequence, with all tricks and without one`,
      unit: 'bytes per second',
      better: 'higher',
      competitors: (await peersOf(tricks.writing)).map((peer) => ({
        name: peer.name,
        measure: () => written(bench, peer),
      })),
    });
    const files = await manyFiles(bench, 'tricks-files');
    await measure({
      id: 'tricks-mounting',
      title: 'Mounting 4,000 files and listing all by ls -lR, with all tricks and without one',
      unit: 'seconds',
      better: 'lower',
      competitors: (await peersOf(tricks.mounting)).map((peer) => ({
        name: peer.name,
        measure: () => mountAndRun(bench, peer, files, (path) => bash('ls -lR "$1" | cat >/dev/null', path)),
      })),
    });
    await bench.remove(files);
  },
};
