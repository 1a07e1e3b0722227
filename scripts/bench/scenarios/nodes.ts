import { dirname, join } from 'node:path';
import { run } from '../../lib/commands.ts';
import type { Bench } from '../bench.ts';
import { checkpoint } from '../checkpoint.ts';
import type { Ckptfs } from '../peers/ckptfs.ts';
import { names } from '../peers/names.ts';
import type { Competitor, Group } from '../scenario.ts';
import { formatSize } from '../units.ts';
import { randomReads } from './random.ts';
import { fromMount } from './restoring-ways.ts';
import { readingRate } from './sequential.ts';
import { start } from './start.ts';

const otherNode = join(import.meta.dirname, '..', '..', 'lib', 'other-node.sh');

function nameWith(line: number): string {
  return `${names.ours}, Node.js ${line}`;
}

/** Makes a peer for each line of Node.js; one that is not to be had is skipped. */
async function peersByNode(bench: Bench): Promise<Ckptfs[]> {
  const peers: Ckptfs[] = [];
  for (const line of [20, 22, 24]) {
    try {
      const binary = (await run(otherNode, `${line}`)).trim();
      peers.push(bench.peers.ours.withNode(nameWith(line), dirname(binary)));
    } catch (error) {
      bench.skip(`Node.js ${line}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  return peers;
}

export const nodes: Group = {
  name: 'nodes',
  heading: 'With other versions of Node.js',
  method: 'ckptfs run by the newest release of each line of Node.js, measured as in the scenarios of the same names.',
  async run(bench, measure) {
    const data = await bench.large();
    const peers = await peersByNode(bench);
    const size = formatSize(bench.options.size);
    const common = { order: 'given', baseline: nameWith(24) } as const;
    const each = (value: (peer: Ckptfs, round: number) => Promise<number>): Competitor[] =>
      peers.map((peer) => ({ name: peer.name, measure: (round) => value(peer, round) }));
    await measure({
      ...common,
      id: 'nodes-first-byte',
      title: `Mounting and reading the first byte of ${size}, by version of Node.js`,
      unit: 'seconds',
      better: 'lower',
      competitors: each(async (peer) => (await start(bench, peer, data)).toFirstByte),
    });
    await measure({
      ...common,
      id: 'nodes-sequential',
      title: `Reading ${size} in sequence, by version of Node.js`,
      unit: 'bytes per second',
      better: 'higher',
      competitors: each((peer) => readingRate(bench, peer, data)),
    });
    await measure({
      ...common,
      id: 'nodes-random-4',
      title: 'Random reads of 4 KiB by 4 readers, by version of Node.js',
      unit: 'reads per second',
      better: 'higher',
      competitors: each((peer, round) => randomReads(bench, peer, data, { readers: 4, seed: round + 1 })),
    });
    const images = await checkpoint(bench, 'checkpoint-nodes', 1, bench.options.size / 1024);
    await measure({
      ...common,
      id: 'nodes-restore',
      title: `Restoring a process with ${size} of memory, by version of Node.js`,
      unit: 'seconds',
      better: 'lower',
      competitors: each(async (peer) => (await fromMount(bench, peer, images).measure()).runs),
    });
    await bench.remove(images);
  },
};
