import { run, timed } from '../../lib/commands.ts';
import type { Bench } from '../bench.ts';
import { warm } from '../page-cache.ts';
import { present } from '../peers/all.ts';
import type { WritePeer } from '../peers/peer.ts';
import type { Competitor, Group } from '../scenario.ts';
import { formatSize } from '../units.ts';
import { dumping } from './dump.ts';
import { largeFile } from './reading.ts';
import { writeNew } from './written.ts';

const smallBytes = 4096;

/** Everything that can be mounted and written. */
function writers({ peers }: Bench): WritePeer[] {
  const { ours, before, plain, gocryptfs, passthrough } = peers;
  return present(plain, ours, before, gocryptfs, passthrough);
}

/** Writes into a new store of a peer, and compares what is mounted of it afterwards with what should be there. */
async function compareWritten(
  bench: Bench,
  peer: WritePeer,
  expected: string,
  write: (path: string) => Promise<unknown>,
): Promise<void> {
  await writeNew(bench, peer, write, (store) =>
    bench.mountedStore(peer, store, async (path) => {
      await run('diff', '-r', expected, path);
    }),
  );
}

async function sequentially(bench: Bench, measure: Parameters<Group['run']>[1]): Promise<void> {
  const data = await bench.large();
  const source = largeFile(data.path);
  const copy = (path: string, flags: readonly string[]) =>
    timed('dd', `if=${source}`, `of=${largeFile(path)}`, 'bs=1M', 'status=none', ...flags);
  const competitor = (peer: WritePeer, flags: readonly string[]): Competitor => ({
    name: peer.name,
    verify: () => compareWritten(bench, peer, data.path, (path) => copy(path, flags)),
    async measure() {
      await warm(source);
      return bench.options.size / (await writeNew(bench, peer, (path) => copy(path, flags))).value;
    },
  });
  const title = `Writing ${formatSize(bench.options.size)} in sequence`;
  for (const [id, ending, flags] of [
    ['write-sequential', '', []],
    ['write-sequential-fsync', ', with fsync at the end', ['conv=fsync']],
  ] as const) {
    await measure({
      id,
      title: `${title}${ending}`,
      unit: 'bytes per second',
      better: 'higher',
      competitors: writers(bench).map((peer) => competitor(peer, flags)),
    });
  }
}

async function manyFiles(bench: Bench, measure: Parameters<Group['run']>[1]): Promise<void> {
  const program = await bench.compiled('small-files');
  const count = `${bench.options.quick ? 500 : 4000}`;
  const files = Number(count).toLocaleString('en-US');
  const make = async (path: string, ...flags: readonly string[]): Promise<number> =>
    Number(await run(program, path, count, `${smallBytes}`, ...flags));
  const expected = bench.newDirectory('small-files');
  await make(expected);
  const space = new Map<string, number>();
  const competitor = (peer: WritePeer, flags: readonly string[]): Competitor => ({
    name: peer.name,
    verify: () => compareWritten(bench, peer, expected, (path) => make(path, ...flags)),
    async measure() {
      const written = await writeNew(bench, peer, (path) => make(path, ...flags));
      space.set(peer.name, written.space);
      return written.value;
    },
  });
  for (const [id, how, flags] of [
    ['write-small', 'create, write, close', []],
    ['write-small-fsync', 'create, write, fsync, close', ['fsync']],
  ] as const) {
    await measure({
      id,
      title: `Writing ${files} files of ${formatSize(smallBytes)}: ${how}`,
      unit: 'files per second',
      better: 'higher',
      competitors: writers(bench).map((peer) => competitor(peer, flags)),
    });
  }
  await measure({
    id: 'write-small-space',
    title: `Space on the disk for ${files} files of ${formatSize(smallBytes)}`,
    unit: 'bytes',
    better: 'lower',
    order: 'given',
    competitors: writers(bench).map(({ name }) => ({
      name,
      async measure() {
        const bytes = space.get(name);
        if (bytes === undefined) throw new Error('it did not write them');
        return bytes;
      },
    })),
  });
  await run('rm', '-rf', expected);
}

export const writing: Group = {
  name: 'writing',
  heading: 'Writing into a mount',
  method:
    'Each time into a new and empty store on the disk; making and mounting it does not count. A dump is timed from the start of `criu dump` until it has ended, when all of it has been handed to the kernel and survives the end of any process, but not loss of power; and until the store is unmounted, which seals an image of ckptfs, and each of its files and directories was synced. "age, dumped first" is a dump to a plain directory on the same disk and then a `tar` of that, encrypted; the plaintext stays on the disk, as removing it does not count. Before any timing each competitor restored a process from what it had written.',
  async run(bench, measure) {
    await dumping(bench, measure);
    if (bench.measures('write-sequential')) await sequentially(bench, measure);
    if (bench.measures('write-small')) await manyFiles(bench, measure);
  },
};
