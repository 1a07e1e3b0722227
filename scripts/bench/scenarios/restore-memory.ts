import fs from 'node:fs';
import type { Bench } from '../bench.ts';
import type { Checkpoint } from '../checkpoint.ts';
import { warm } from '../page-cache.ts';
import { present } from '../peers/all.ts';
import type { MountPeer } from '../peers/peer.ts';
import { restore } from '../restoring.ts';
import type { Competitor, Group } from '../scenario.ts';
import { lazily } from './restore-names.ts';

/** Reads one line of a file of proc(5), in bytes. @throws Error where there is none */
export function bytesIn(file: string, name: string): number {
  const [, kib] = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(fs.readFileSync(file, 'utf8')) ?? [];
  if (kib === undefined) throw new Error(`${file} has no ${name}`);
  return Number(kib) * 1024;
}

/**
 * Measures the daemon and the page cache of the mount. Opening a file of a mount to ask for its pages can drop them, so
 * they are counted when they go: the unmount drops them and nothing else, and takes too short for much else to happen.
 */
function memoryOf(bench: Bench, peer: MountPeer, images: Checkpoint, lazy: boolean): Competitor {
  return {
    name: lazy ? lazily(peer.name) : peer.name,
    async measure() {
      const store = await bench.stored(peer, images);
      await warm(store);
      const mount = await peer.mount(store, bench.newMountPoint());
      let daemon = Number.NaN;
      let cached = 0;
      try {
        const restored = await restore(images, mount.path, { lazy });
        try {
          await restored.readAll();
        } finally {
          await restored.end();
        }
        daemon = bytesIn(`/proc/${mount.pid}/status`, 'VmHWM');
        cached = bytesIn('/proc/meminfo', 'Cached');
      } finally {
        await mount.unmount();
      }
      return daemon + Math.max(0, cached - bytesIn('/proc/meminfo', 'Cached'));
    },
  };
}

/** Measures the peak memory of a restore beside that of the restored process. */
export async function measureMemory(
  bench: Bench,
  measure: Parameters<Group['run']>[1],
  images: Checkpoint,
  what: string,
): Promise<void> {
  const { ours, before, gocryptfs, passthrough } = bench.peers;
  await measure({
    id: 'restore-memory',
    title: `Peak memory of daemon and page cache while restoring ${what}`,
    unit: 'bytes',
    better: 'lower',
    competitors: [
      memoryOf(bench, ours, images, true),
      ...present<MountPeer>(ours, before, gocryptfs, passthrough).map((peer) => memoryOf(bench, peer, images, false)),
    ],
  });
}
