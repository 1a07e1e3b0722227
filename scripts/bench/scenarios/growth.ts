import fs from 'node:fs';
import { join } from 'node:path';
import { run, timed } from '../../lib/commands.ts';
import { type Bench, type Dataset, randomDataset } from '../bench.ts';
import { warm } from '../page-cache.ts';
import { present } from '../peers/all.ts';
import { names } from '../peers/names.ts';
import type { MountPeer } from '../peers/peer.ts';
import type { Competitor, Group } from '../scenario.ts';
import { formatSize } from '../units.ts';
import { randomReads } from './random.ts';
import { largeFile } from './reading.ts';
import { bytesIn } from './restore-memory.ts';
import { start } from './start.ts';

const filled = 64 * 1024;
const stride = 16 * filled;

/**
 * Makes a sparse file with random bytes at regular distances: large, but little on the disk. An image has chunks of the
 * random bytes alone, so it has a sixteenth of those of a full file.
 */
async function sparseDataset(bench: Bench, name: string, bytes: number): Promise<Dataset> {
  const path = bench.newDirectory(name);
  const noise = await fs.promises.open('/dev/urandom');
  const file = await fs.promises.open(join(path, 'pages-1.img'), 'w');
  try {
    const piece = Buffer.alloc(filled);
    for (let offset = 0; offset < bytes; offset += stride) {
      await noise.read(piece, 0, filled);
      await file.write(piece, 0, filled, offset);
    }
    await file.truncate(bytes);
  } finally {
    await file.close();
    await noise.close();
  }
  return { name, path };
}

/** Measures the most memory, in bytes, that a daemon had while the whole image was read (VmHWM of proc(5)). */
async function peakMemory(bench: Bench, peer: MountPeer, data: Dataset): Promise<number> {
  return bench.mounted(peer, data, async (path, pid) => {
    await run('dd', `if=${largeFile(path)}`, 'of=/dev/null', 'bs=1M', 'status=none');
    await run(await bench.compiled('random-reads'), largeFile(path), '4', '0.5', '1');
    return bytesIn(`/proc/${pid}/status`, 'VmHWM');
  });
}

async function byImageSize(bench: Bench, measure: Parameters<Group['run']>[1]): Promise<void> {
  const { size } = bench.options;
  const { ours, gocryptfs, securefs } = bench.peers;
  const smallSize = Math.min(10 * 2 ** 20, size / 2);
  const hugeSize = 20 * size;
  const small = await randomDataset(bench, 'small', smallSize);
  const large = await bench.large();
  const huge = await sparseDataset(bench, 'huge', hugeSize);
  const images = [
    [ours, small, smallSize],
    [ours, large, size],
    [ours, huge, hugeSize],
    ...present<MountPeer>(gocryptfs, securefs).map((peer) => [peer, large, size] as const),
  ] as const;
  const series = (value: (peer: MountPeer, data: Dataset, attempt: string) => Promise<number>): Competitor[] =>
    images.map(([peer, data, bytes]) => {
      const name = `${peer.name}, ${formatSize(bytes)}`;
      return { name, measure: (round) => value(peer, data, `${name}, round ${round}`) };
    });
  const common = { better: 'lower', order: 'given', baseline: `${names.ours}, ${formatSize(size)}` } as const;
  // The first scenario measures in passing what the second one reports.
  const firstBytes = new Map<string, number>();
  await measure({
    ...common,
    id: 'growth-mount',
    title: 'Mounting, by size of the image',
    unit: 'seconds',
    competitors: series(async (peer, data, attempt) => {
      const { toMount, toFirstByte } = await start(bench, peer, data);
      firstBytes.set(attempt, toFirstByte);
      return toMount;
    }),
  });
  await measure({
    ...common,
    id: 'growth-first-byte',
    title: 'Mounting and reading the first byte, by size of the image',
    unit: 'seconds',
    competitors: series(async (_peer, _data, attempt) => firstBytes.get(attempt) ?? Number.NaN),
  });
  await measure({
    ...common,
    id: 'growth-memory',
    title: 'Peak memory of the daemon while the whole image is read, by size of the image',
    unit: 'bytes',
    competitors: series((peer, data) => peakMemory(bench, peer, data)),
  });
  await bench.remove(small);
  await bench.remove(huge);
}

async function byWorkers(bench: Bench, measure: Parameters<Group['run']>[1]): Promise<void> {
  const data = await bench.large();
  const workers = [1, 2, 4].map((count) => {
    const name = `${names.ours}, ${count} worker${count > 1 ? 's' : ''}`;
    return bench.peers.ours.variant(name, '--workers', `${count}`);
  });
  const common = { better: 'higher', order: 'given', baseline: `${names.ours}, 1 worker` } as const;
  await measure({
    ...common,
    id: 'workers-sequential',
    title: `Reading ${formatSize(bench.options.size)} in sequence, by number of workers`,
    unit: 'bytes per second',
    competitors: workers.map((peer) => ({
      name: peer.name,
      async measure() {
        await warm(await bench.stored(peer, data));
        const read = ['bs=1M', 'of=/dev/null', 'status=none'] as const;
        const seconds = await bench.mounted(peer, data, (path) => timed('dd', `if=${largeFile(path)}`, ...read));
        return bench.options.size / seconds;
      },
    })),
  });
  await measure({
    ...common,
    id: 'workers-random',
    title: 'Random reads of 4 KiB by 4 readers, by number of workers',
    unit: 'reads per second',
    competitors: workers.map((peer) => ({
      name: peer.name,
      measure: (round) => randomReads(bench, peer, data, { readers: 4, seed: round + 1 }),
    })),
  });
}

export const growth: Group = {
  name: 'growth',
  heading: 'With bigger images and more workers',
  method:
    'The biggest image is that of a sparse file: one sixteenth random bytes at regular distances, the rest holes. Its image has chunk records of the random bytes alone. Peak memory is `VmHWM` after reading all of the file in sequence and some of it at random.',
  async run(bench, measure) {
    await byImageSize(bench, measure);
    await byWorkers(bench, measure);
  },
};
