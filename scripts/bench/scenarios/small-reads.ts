import { bash, run, timed } from '../../lib/commands.ts';
import type { Bench, Dataset } from '../bench.ts';
import { warm } from '../page-cache.ts';
import { present } from '../peers/all.ts';
import type { MountPeer } from '../peers/peer.ts';
import type { Competitor, Group } from '../scenario.ts';
import { formatSize } from '../units.ts';
import { largeFile } from './reading.ts';

const files = 4000;
const fileBytes = 4096;

/** Makes a directory of many small files. */
export async function manyFiles(bench: Bench, name: string): Promise<Dataset> {
  const path = bench.newDirectory(name);
  await run(await bench.compiled('small-files'), path, `${files}`, `${fileBytes}`);
  return { name, path };
}

export const smallReads: Group = {
  name: 'small-reads',
  heading: 'Reading in small pieces',
  method:
    'The large file by `dd bs=10k`, and 4,000 files of 4 KiB by `tar` into a pipe that is read and ignored. From a fresh mount, which does not count.',
  async run(bench, measure) {
    const { ours, oursUring, before, plain, gocryptfs, passthrough } = bench.peers;
    const peers = present<MountPeer>(plain, ours, oursUring, before, gocryptfs, passthrough);
    const each = (data: Dataset, rate: (path: string) => Promise<number>): Competitor[] =>
      peers.map((peer) => ({
        name: peer.name,
        async measure() {
          await warm(await bench.stored(peer, data));
          return bench.mounted(peer, data, rate);
        },
      }));
    const large = await bench.large();
    await measure({
      id: 'small-reads-dd',
      title: `Reading ${formatSize(bench.options.size)} in sequence, in pieces of 10 KiB`,
      unit: 'bytes per second',
      better: 'higher',
      competitors: each(large, async (path) => {
        const read = ['dd', `if=${largeFile(path)}`, 'of=/dev/null', 'bs=10k', 'status=none'] as const;
        return bench.options.size / (await timed(...read));
      }),
    });
    const small = await manyFiles(bench, 'small-reads');
    await measure({
      id: 'small-reads-tar',
      title: `Reading ${files.toLocaleString('en-US')} files of ${formatSize(fileBytes)} by tar`,
      unit: 'files per second',
      better: 'higher',
      // To /dev/null itself, GNU tar would read nothing.
      competitors: each(small, async (path) => {
        return files / (await timed(...bash('tar -C "$1" -cf - . | cat >/dev/null', path)));
      }),
    });
    await bench.remove(small);
  },
};
