import fs from 'node:fs';
import { bash, run } from '../../lib/commands.ts';
import { type Bench, type Dataset, randomDataset } from '../bench.ts';
import { warm } from '../page-cache.ts';
import { present } from '../peers/all.ts';
import type { MountPeer } from '../peers/peer.ts';
import type { Group } from '../scenario.ts';
import { formatSize } from '../units.ts';
import { largeFile } from './reading.ts';
import { manyFiles } from './small-reads.ts';

/** USER_HZ of Linux, in which proc(5) counts. */
const TICKS_PER_SECOND = 100;

/** Counts the seconds that all threads of a process ran, in its own code and in the kernel. */
function processorTime(pid: number | undefined): number {
  const [, fields = ''] = fs.readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ');
  const [user, system] = fields.split(' ').slice(11, 13).map(Number);
  return ((user ?? Number.NaN) + (system ?? Number.NaN)) / TICKS_PER_SECOND;
}

/** Measures what a daemon uses from the end of mounting to the end of `work`. */
async function used(bench: Bench, peer: MountPeer, data: Dataset, work: (path: string) => Promise<unknown>) {
  await warm(await bench.stored(peer, data));
  return bench.mounted(peer, data, async (path, pid) => {
    const before = processorTime(pid);
    await work(path);
    return processorTime(pid) - before;
  });
}

const RANDOM_BYTES = 64 * 2 ** 20;

/** No such work takes that long, in seconds. */
const UNTIL_ALL_IS_READ = '500';

export const processor: Group = {
  name: 'processor',
  heading: 'Processor time of the daemon',
  method:
    'What all threads of the daemon use, as /proc/PID/stat counts it, for a fixed amount of work from a fresh mount; mounting does not count. What the kernel does for a request in the name of the reader is not in it. On a machine that others use it tells more than the time on the clock.',
  async run(bench, measure) {
    const { ours, oursGcm, oursUring, before, gocryptfs, passthrough } = bench.peers;
    const peers = present<MountPeer>(ours, oursGcm, oursUring, before, gocryptfs, passthrough);
    const compare = (id: string, title: string, data: Dataset, work: (path: string) => Promise<unknown>) =>
      measure({
        id,
        title: `Processor time of the daemon for ${title}`,
        unit: 'seconds',
        better: 'lower',
        competitors: peers.map((peer) => ({ name: peer.name, measure: () => used(bench, peer, data, work) })),
      });
    const large = await bench.large();
    await compare('processor-sequential', `reading ${formatSize(bench.options.size)} in sequence`, large, (path) =>
      run('dd', `if=${largeFile(path)}`, 'of=/dev/null', 'bs=1M', 'status=none'),
    );
    const random = await randomDataset(bench, 'processor-random', RANDOM_BYTES);
    const program = await bench.compiled('random-reads');
    const reads = (RANDOM_BYTES / 4096).toLocaleString('en-US');
    await compare('processor-random', `${reads} random reads of 4 KiB by 4 readers`, random, (path) =>
      run(program, largeFile(path), '4', UNTIL_ALL_IS_READ, '1'),
    );
    await bench.remove(random);
    const files = await manyFiles(bench, 'processor-files');
    await compare('processor-tar', 'reading 4,000 files of 4 KiB by tar', files, (path) =>
      run(...bash('tar -C "$1" -cf - . | cat >/dev/null', path)),
    );
    await bench.remove(files);
  },
};
