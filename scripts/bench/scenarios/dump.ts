import { join } from 'node:path';
import { clocked, run, timed } from '../../lib/commands.ts';
import type { Bench } from '../bench.ts';
import { type Checkpoint, checkpoint } from '../checkpoint.ts';
import { Passing, type Way } from '../passing.ts';
import { present } from '../peers/all.ts';
import type { Converter, WritePeer } from '../peers/peer.ts';
import { restore } from '../restoring.ts';
import type { Group } from '../scenario.ts';
import { formatSize } from '../units.ts';
import { dumpThenEncrypt } from './dump-names.ts';
import { makeDurable, spaceOf, writeNew } from './written.ts';

interface Dump {
  /** Seconds from the start of criu to its end, and of encrypting what it wrote where that is a step of its own. */
  readonly done: number;
  /** Seconds until all of it survives loss of power, too. */
  readonly durable: number;
  /** Bytes it takes on the disk then. */
  readonly space: number;
}

/** Makes a competitor of what dumps a process, and restores it as well where it is to check. */
function way(name: string, dump: (check: boolean) => Promise<Dump>): Way<Dump> {
  return {
    name,
    async verify() {
      await dump(true);
    },
    measure: () => dump(false),
  };
}

/** Starts a process and dumps it. @param path an empty directory */
function dumpTo(bench: Bench, path: string): Promise<Checkpoint> {
  return checkpoint(bench, 'dumped', 1, bench.options.size / 1024, path);
}

async function checkRestored(images: Checkpoint, path: string, before: readonly string[] = []): Promise<void> {
  const restored = await restore(images, path, { before });
  try {
    await restored.readAll();
  } finally {
    await restored.end();
  }
}

function intoMount(bench: Bench, peer: WritePeer): Way<Dump> {
  return way(peer.name, async (check) => {
    const { value, settling, space } = await writeNew(
      bench,
      peer,
      (path) => dumpTo(bench, path),
      async (store, images) => {
        if (check) await bench.mountedStore(peer, store, (path) => checkRestored(images, path));
      },
    );
    return { done: value.seconds, durable: value.seconds + settling, space };
  });
}

/** Dumps in clear and encrypts that, as users without such a file system do; does not time removing the plain dump. */
function thenEncrypting(bench: Bench, peer: Converter): Way<Dump> {
  return way(dumpThenEncrypt(peer.name), async (check) => {
    const plain = bench.newDirectory('dumped-plain');
    const directory = bench.newDirectory('dumped-encrypted');
    const decrypted = join(bench.memory, 'dumped');
    try {
      const images = await dumpTo(bench, plain);
      const encrypted = join(directory, 'dump');
      const done = images.seconds + (await timed(...peer.encrypt(plain, encrypted)));
      const { seconds: syncing } = await clocked(() => makeDurable(directory));
      if (check) {
        await run('mkdir', decrypted);
        await checkRestored(images, decrypted, peer.decrypt(encrypted, decrypted));
      }
      return { done, durable: done + syncing, space: await spaceOf(directory) };
    } finally {
      await run('rm', '-rf', plain, directory, decrypted);
    }
  });
}

/** Measures dumping; what the first scenario measures in passing is the result of the next ones. */
export async function dumping(bench: Bench, measure: Parameters<Group['run']>[1]): Promise<void> {
  const { ours, oursGcm, before, plain, gocryptfs, passthrough, age } = bench.peers;
  const ways = [
    ...present(plain, ours, oursGcm, before, gocryptfs, passthrough).map((peer) => intoMount(bench, peer)),
    ...present(age).map((peer) => thenEncrypting(bench, peer)),
  ];
  const dumps = new Passing<Dump>();
  const title = `Dumping a process with ${formatSize(bench.options.size)} of memory`;
  await measure({
    id: 'write-dump',
    title,
    unit: 'seconds',
    better: 'lower',
    competitors: dumps.measuring(ways, ({ done }) => done),
  });
  await measure({
    id: 'write-dump-durable',
    title: `${title}, until it is unmounted and survives loss of power`,
    unit: 'seconds',
    better: 'lower',
    competitors: dumps.reporting(ways, ({ durable }) => durable),
  });
  await measure({
    id: 'write-dump-space',
    title: `Space on the disk for the dump of a process with ${formatSize(bench.options.size)} of memory`,
    unit: 'bytes',
    better: 'lower',
    order: 'given',
    competitors: dumps.reporting(ways, ({ space }) => space),
  });
}
