import fs from 'node:fs';
import { bash, type Command, clocked, run } from '../../lib/commands.ts';
import type { Bench, Dataset } from '../bench.ts';
import { checkpoint } from '../checkpoint.ts';
import { warm } from '../page-cache.ts';
import { Passing } from '../passing.ts';
import { present } from '../peers/all.ts';
import type { MountPeer } from '../peers/peer.ts';
import type { Group } from '../scenario.ts';
import { readers } from './reading.ts';
import { afterDecrypting, fromMount, type RestoreTimes } from './restoring-ways.ts';

/** A checkpoint has 7 image files for each process like these, and some for all. */
const filesPerProcess = 7;
const kibPerProcess = 16;

/** Measures the seconds from the start of mounting to the end of `command`. */
export async function mountAndRun(
  bench: Bench,
  peer: MountPeer,
  images: Dataset,
  command: (path: string) => Command,
): Promise<number> {
  const store = await bench.stored(peer, images);
  await warm(store);
  const { seconds, value: mount } = await clocked(() => peer.mount(store, bench.newMountPoint()));
  try {
    return seconds + (await clocked(() => run(...command(mount.path)))).seconds;
  } finally {
    await mount.unmount();
  }
}

export const smallFiles: Group = {
  name: 'small-files',
  heading: 'Many small image files',
  method:
    'The checkpoint of hundreds of small processes. Mounting counts, and so does decrypting first. `tar` and `ls` write to a pipe that is read and ignored.',
  async run(bench, measure) {
    const wanted = bench.options.quick ? 500 : 4000;
    const images = await checkpoint(bench, 'checkpoint-small', Math.round(wanted / filesPerProcess), kibPerProcess);
    const files = fs.readdirSync(images.path).length.toLocaleString('en-US');
    const { ours, oursFuseNative, before, plain, gocryptfs, securefs, passthrough, age, openssl, gpg } = bench.peers;
    await measure({
      id: 'small-files-restore',
      title: `Mounting ${files} image files and restoring their ${images.processes} processes`,
      unit: 'seconds',
      better: 'lower',
      competitors: new Passing<RestoreTimes>().measuring(
        [
          ...present(plain, ours, oursFuseNative, before, gocryptfs, securefs, passthrough).map((peer) =>
            fromMount(bench, peer, images, { mountCounts: true }),
          ),
          ...present(age, openssl, gpg).map((peer) => afterDecrypting(bench, peer, images)),
        ],
        ({ runs }) => runs,
      ),
    });
    await measure({
      id: 'small-files-tar',
      title: `Mounting ${files} image files and reading all by tar`,
      unit: 'seconds',
      better: 'lower',
      competitors: readers(bench).map((peer) => ({
        name: peer.name,
        async verify() {
          await mountAndRun(bench, peer, images, (path) => ['diff', '-r', images.path, path]);
        },
        // To /dev/null itself, GNU tar would read nothing.
        measure: () => mountAndRun(bench, peer, images, (path) => bash('tar -C "$1" -cf - . | cat >/dev/null', path)),
      })),
    });
    await measure({
      id: 'small-files-list',
      title: `Mounting ${files} image files and listing all by ls -lR`,
      unit: 'seconds',
      better: 'lower',
      competitors: readers(bench).map((peer) => ({
        name: peer.name,
        measure: () => mountAndRun(bench, peer, images, (path) => bash('ls -lR "$1" | cat >/dev/null', path)),
      })),
    });
    await bench.remove(images);
  },
};
