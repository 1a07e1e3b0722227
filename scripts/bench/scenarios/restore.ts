import { run } from '../../lib/commands.ts';
import type { Bench } from '../bench.ts';
import { checkpoint } from '../checkpoint.ts';
import { Passing, type Way } from '../passing.ts';
import { present } from '../peers/all.ts';
import type { Group } from '../scenario.ts';
import { formatSize } from '../units.ts';
import { measureMemory } from './restore-memory.ts';
import { allRead, mountIncluded } from './restore-names.ts';
import { afterDecrypting, encryptedBy, fromMount, type RestoreTimes } from './restoring-ways.ts';

type Measure = Parameters<Group['run']>[1];

/** Measures restores until the processes run, and reports when they had read all their memory as well. */
async function compareWays(measure: Measure, id: string, what: string, ways: readonly Way<RestoreTimes>[]) {
  const times = new Passing<RestoreTimes>();
  const common = { unit: 'seconds', better: 'lower' } as const;
  await measure({
    ...common,
    id,
    title: `Restoring ${what}`,
    competitors: times.measuring(ways, ({ runs }) => runs),
  });
  await measure({
    ...common,
    id: allRead(id),
    title: `Restoring ${what}, until all memory was read`,
    competitors: times.reporting(ways, ({ all }) => all),
  });
}

async function restoreKind(bench: Bench, measure: Measure, id: string, processes: number, bytes: number) {
  const { ours, oursFuseNative, oursGcm, oursUring, before, plain, gocryptfs, securefs, passthrough } = bench.peers;
  const { age, openssl, gpg } = bench.peers;
  const what =
    processes === 1
      ? `a process with ${formatSize(bytes)} of memory`
      : `${processes} processes with ${formatSize(bytes / processes)} of memory each`;
  const images = await checkpoint(bench, `checkpoint-${id}`, processes, bytes / processes / 1024);
  const converters = present(age, openssl, gpg);
  await compareWays(measure, `restore-${id}`, what, [
    ...present(plain, ours).flatMap((peer) => [
      fromMount(bench, peer, images),
      fromMount(bench, peer, images, { lazy: true }),
    ]),
    ...[false, true].map((lazy) =>
      fromMount(bench, ours, images, { name: mountIncluded(lazy), lazy, mountCounts: true }),
    ),
    ...present(oursFuseNative, oursGcm, oursUring, before, gocryptfs, securefs, passthrough).map((peer) =>
      fromMount(bench, peer, images),
    ),
    ...converters.map((peer) => afterDecrypting(bench, peer, images)),
  ]);
  if (id === 'one' && bench.measures('restore-memory')) await measureMemory(bench, measure, images, what);
  await bench.remove(images);
  for (const peer of converters) await run('rm', '-rf', encryptedBy(bench, peer, images));
}

export const restoreGroup: Group = {
  name: 'restore',
  heading: 'Restoring a checkpoint',
  method:
    '`criu restore` of processes full of random memory, each time in a fresh pid namespace, until criu says that they run; and until the last of them has read all of its memory, by its own clock. Each then compares it with what was dumped. From a fresh mount, which does not count unless said so; or after decrypting to a tmpfs, which counts. With `criu lazy-pages`, whose start counts, memory comes after the processes run. The ciphertext is in the page cache. `openssl enc` does not authenticate what it decrypts. Peak memory is `VmHWM` of the daemon and the page cache that goes with the mount: by how much `Cached` of /proc/meminfo falls when it is unmounted. The page cache of what is stored, which a plain directory has too, does not count.',
  async run(bench, measure) {
    const { size, full } = bench.options;
    const kinds = [['one', 1, size], ['tree', 8, size], ...(full ? ([['large', 1, 4 * size]] as const) : [])] as const;
    for (const [id, processes, bytes] of kinds) {
      if (bench.measures(`restore-${id}`)) await restoreKind(bench, measure, id, processes, bytes);
    }
  },
};
