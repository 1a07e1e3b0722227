import fs from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { clocked } from '../../lib/commands.ts';
import type { Bench, Dataset } from '../bench.ts';
import { timeEmptyNode } from '../costs.ts';
import { warm } from '../page-cache.ts';
import { present } from '../peers/all.ts';
import { names } from '../peers/names.ts';
import type { MountPeer } from '../peers/peer.ts';
import type { Group } from '../scenario.ts';
import { formatSize } from '../units.ts';
import { largeFile } from './reading.ts';
import { bytesIn } from './restore-memory.ts';

export interface Start {
  /** Seconds until the command that mounts has ended. */
  readonly toMount: number;
  /** Seconds from its start until the first byte of the large file was read. */
  readonly toFirstByte: number;
}

function readFirstByte(path: string): void {
  const file = fs.openSync(largeFile(path), 'r');
  fs.readSync(file, Buffer.alloc(1));
  fs.closeSync(file);
}

/** Mounts, reads the first byte and unmounts. */
export async function start(bench: Bench, peer: MountPeer, data: Dataset): Promise<Start> {
  const store = await bench.stored(peer, data);
  await warm(store);
  const { seconds: toMount, value: mount } = await clocked(() => peer.mount(store, bench.newMountPoint()));
  try {
    const { seconds } = await clocked(() => readFirstByte(mount.path));
    return { toMount, toFirstByte: toMount + seconds };
  } finally {
    await mount.unmount();
  }
}

/** Measures the resident memory of a daemon a second after the first byte was read. So little starts no threads. */
async function idleMemory(bench: Bench, peer: MountPeer, data: Dataset): Promise<number> {
  return bench.mounted(peer, data, async (path, pid) => {
    readFirstByte(path);
    await sleep(1000);
    return bytesIn(`/proc/${pid}/status`, 'VmRSS');
  });
}

export const startGroup: Group = {
  name: 'start',
  heading: 'Starting',
  method:
    'From the start of the command that mounts until the first byte of the large file was read, beside a Node.js that starts, runs an empty program and ends. Memory of an idle mount is `VmRSS` of the daemon a second later.',
  async run(bench, measure) {
    const data = await bench.large();
    const size = formatSize(bench.options.size);
    const { ours, before, gocryptfs } = bench.peers;
    const peers = present<MountPeer>(ours, before, gocryptfs);
    await measure({
      id: 'first-byte',
      title: `Mounting and reading the first byte of ${size}`,
      unit: 'seconds',
      better: 'lower',
      competitors: [
        { name: names.emptyNode, measure: () => timeEmptyNode(bench.directory) },
        ...peers.map((peer) => ({
          name: peer.name,
          measure: async () => (await start(bench, peer, data)).toFirstByte,
        })),
      ],
    });
    await measure({
      id: 'idle-memory',
      title: `Memory of an idle mount of ${size}`,
      unit: 'bytes',
      better: 'lower',
      competitors: peers.map((peer) => ({ name: peer.name, measure: () => idleMemory(bench, peer, data) })),
    });
  },
};
