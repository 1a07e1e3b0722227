import { join } from 'node:path';
import { clocked, run, timed } from '../../lib/commands.ts';
import type { Bench } from '../bench.ts';
import { present } from '../peers/all.ts';
import type { Converter, WritePeer } from '../peers/peer.ts';
import { type Checkpoint, checkpoint, restore } from '../restoring.ts';
import type { Competitor, Group } from '../scenario.ts';
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

/** A way to get an encrypted dump. */
interface Way {
  readonly name: string;
  /** Dumps a process. @param check restores it as well @throws Error when its memory then is not as it was */
  dump(check: boolean): Promise<Dump>;
}

/** Starts a process and dumps it. @param path an empty directory */
function dumpTo(bench: Bench, path: string): Promise<Checkpoint> {
  return checkpoint(bench, 'dumped', 1, bench.options.size / 1024, path);
}

async function checkRestored(images: Checkpoint, path: string, before: readonly string[] = []): Promise<void> {
  const restored = await restore(images, path, before);
  try {
    await restored.check();
  } finally {
    await restored.end();
  }
}

function intoMount(bench: Bench, peer: WritePeer): Way {
  return {
    name: peer.name,
    async dump(check) {
      const { value, settling, space } = await writeNew(
        bench,
        peer,
        (path) => dumpTo(bench, path),
        async (store, images) => {
          if (check) await bench.mountedStore(peer, store, (path) => checkRestored(images, path));
        },
      );
      return { done: value.seconds, durable: value.seconds + settling, space };
    },
  };
}

/** Dumps in clear and encrypts that, as users without such a file system do; does not time removing the plain dump. */
function thenEncrypting(bench: Bench, peer: Converter): Way {
  return {
    name: dumpThenEncrypt(peer.name),
    async dump(check) {
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
    },
  };
}

/** Measures dumping; what the first scenario measures in passing is the result of the next ones. */
export async function dumping(bench: Bench, measure: Parameters<Group['run']>[1]): Promise<void> {
  const { ours, plain, gocryptfs, passthrough, age } = bench.peers;
  const ways = [
    ...present(plain, ours, gocryptfs, passthrough).map((peer) => intoMount(bench, peer)),
    ...present(age).map((peer) => thenEncrypting(bench, peer)),
  ];
  const dumps = new Map<string, Dump>();
  const inPassing = (value: (dump: Dump) => number): Competitor[] =>
    ways.map(({ name }) => ({
      name,
      async measure(round) {
        const dump = dumps.get(`${name}, round ${round}`);
        if (dump === undefined) throw new Error('it did not dump');
        return value(dump);
      },
    }));
  const title = `Dumping a process with ${formatSize(bench.options.size)} of memory`;
  await measure({
    id: 'write-dump',
    title,
    unit: 'seconds',
    better: 'lower',
    competitors: ways.map(({ name, dump }) => ({
      name,
      async verify() {
        await dump(true);
      },
      async measure(round) {
        const result = await dump(false);
        dumps.set(`${name}, round ${round}`, result);
        return result.done;
      },
    })),
  });
  await measure({
    id: 'write-dump-durable',
    title: `${title}, until it is unmounted and survives loss of power`,
    unit: 'seconds',
    better: 'lower',
    competitors: inPassing(({ durable }) => durable),
  });
  await measure({
    id: 'write-dump-space',
    title: `Space on the disk for the dump of a process with ${formatSize(bench.options.size)} of memory`,
    unit: 'bytes',
    better: 'lower',
    order: 'given',
    competitors: inPassing(({ space }) => space),
  });
}
