import { join } from 'node:path';
import { run } from '../../lib/commands.ts';
import type { Bench, Dataset } from '../bench.ts';
import { present } from '../peers/all.ts';
import type { MountPeer } from '../peers/peer.ts';

/** Everything that can be mounted and read. */
export function readers({ peers }: Bench): MountPeer[] {
  const { ours, oursFuseNative, before, plain, gocryptfs, securefs, passthrough } = peers;
  return present(plain, ours, oursFuseNative, before, gocryptfs, securefs, passthrough);
}

/** Our own ways to serve and to encrypt that only some scenarios tell apart. */
export function variants({ peers: { oursDirect, oursGcm, oursGcmDirect, oursUring } }: Bench): MountPeer[] {
  return present(oursDirect, oursGcm, oursGcmDirect, oursUring);
}

/** Returns the path of the one file of the large dataset in a mount. */
export function largeFile(mounted: string): string {
  return join(mounted, 'pages-1.img');
}

/** @throws Error when a mount gives other bytes than the dataset has */
export async function compare(bench: Bench, peer: MountPeer, dataset: Dataset): Promise<void> {
  await bench.mounted(peer, dataset, (path) => run('cmp', largeFile(path), largeFile(dataset.path)));
}
