import { join } from 'node:path';
import { bash, clocked, run } from '../../lib/commands.ts';
import type { Bench } from '../bench.ts';
import type { WritePeer } from '../peers/peer.ts';

/** The result of writing into a new store. */
export interface Written<T> {
  /** What the writer says of it. */
  readonly value: T;
  /** Seconds from the end of writing until the store is unmounted and survives loss of power. */
  readonly settling: number;
  /** Bytes the store takes on the disk then. */
  readonly space: number;
}

/** Syncs every file and directory below `path`, and waits for nothing else on this machine. */
export async function makeDurable(path: string): Promise<void> {
  await run(...bash('find "$1" -exec sync {} +', path));
}

/** Counts the bytes that everything below `path` takes on the disk. */
export async function spaceOf(path: string): Promise<number> {
  return Number((await run('du', '--summarize', '--block-size=1', path)).split('\t')[0]);
}

/**
 * Mounts a new store, has it written, unmounts it, and removes it.
 * @param look at the store, before it is removed
 */
export async function writeNew<T>(
  bench: Pick<Bench, 'directory' | 'newMountPoint'>,
  peer: WritePeer,
  write: (path: string) => Promise<T>,
  look: (store: string, value: T) => Promise<void> = async () => undefined,
): Promise<Written<T>> {
  const store = join(bench.directory, 'written');
  try {
    const mount = await peer.mountNew(store, bench.newMountPoint());
    const value = await write(mount.path).catch(async (error: unknown) => {
      await mount.unmount();
      throw error;
    });
    const { seconds: settling } = await clocked(async () => {
      await mount.unmount();
      await makeDurable(store);
    });
    const space = await spaceOf(store);
    await look(store, value);
    return { value, settling, space };
  } finally {
    await run('rm', '-rf', store);
  }
}
