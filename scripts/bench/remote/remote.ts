import { mkdirSync, rmSync, statSync } from 'node:fs';
import { run } from '../../lib/commands.ts';
import type { Dump } from './dumping.ts';
import { encrypted } from './local.ts';
import type { Registry } from './registry.ts';
import { type RestoreFigures, restore } from './restoring.ts';
import { type Rounds, rounds } from './rounds.ts';
import type { Site } from './site.ts';
import { RECORD, type RemoteWay, remoteWays } from './ways.ts';

/** A dump in a store: as an archive, as images, and what was recorded of restores. */
export interface RemoteDump {
  readonly dump: Dump;
  readonly archive: string;
  readonly images: ReadonlyMap<string, string>;
  /** Bytes in the store: by the compression of an image, and of the `archive`. */
  readonly sizes: ReadonlyMap<string, number>;
}

export const IMAGES = ['none', 'auto', 'lz4'] as const;

/** Pushes a dump. */
export async function storeImages(site: Site, dump: Dump, registry: Registry): Promise<RemoteDump> {
  const { name } = dump.program;
  const images = new Map<string, string>();
  const sizes = new Map([['archive', statSync(dump.archive).size]]);
  for (const compress of IMAGES) {
    const url = registry.image(name, compress);
    const image = await encrypted(site, dump, compress);
    const said: { movedBytes: number } = JSON.parse(await run(site.ckptfs, 'push', image, url, '--json'));
    images.set(compress, url);
    sizes.set(compress, said.movedBytes);
  }
  return { dump, archive: await registry.store(name, dump.archive), images, sizes };
}

/** Restores over the network. */
export async function measureRemote(site: Site, stored: RemoteDump, count: number): Promise<Rounds<RestoreFigures>> {
  const { dump, archive, images } = stored;
  const at = (name: string): string => site.in(dump.program.name, name);
  const find = ({ compress = 'none', profile, warm }: RemoteWay): Parameters<typeof restore>[3] => ({
    archive,
    encrypted: images.get(compress) ?? '',
    ...(profile && { profile: at(`profile-${profile}`) }),
    ...(warm && { cache: at('cache') }),
  });
  for (const profile of ['eager', 'lazy'] as const) {
    const way: RemoteWay = { name: `recording ${profile}`, compress: 'auto', profile, script: RECORD[profile] };
    try {
      await restore(site, dump, way, find(way));
    } catch (error) {
      process.stderr.write(`left out: ${way.name}: ${error instanceof Error ? error.message : String(error)}\n`);
    }
  }
  return rounds(count, remoteWays, (way) => restore(site, dump, way, find(way)));
}

/** Seconds until the last of eight restores runs, and the bytes that the network carried for all of them. */
export interface ManyFigures {
  readonly runs: number;
  readonly bytes: number;
}

const MANY = 8;

/** Restores eight times at once, each from a mount of its own; all mounts of a round share a cache that is empty. */
export async function measureMany(site: Site, stored: RemoteDump, count: number): Promise<Rounds<ManyFigures>> {
  const ways = remoteWays.filter(({ name }) => name === 'mount, auto' || name === 'exec, auto, lazy-pages');
  const cache = site.in(stored.dump.program.name, 'shared-cache');
  return rounds(count, ways, async (way) => {
    mkdirSync(cache, { mode: 0o700 });
    try {
      const one = { encrypted: stored.images.get('auto') ?? '', cache };
      const restores = await allOf(Array.from({ length: MANY }, () => restore(site, stored.dump, way, one)));
      const began = restores.map((each) => each.began);
      return {
        runs: Math.max(...restores.map(({ runs }) => runs.time)) - Math.min(...began.map(({ time }) => time)),
        bytes:
          Math.max(...restores.map(({ complete }) => complete.bytes)) - Math.min(...began.map(({ bytes }) => bytes)),
      };
    } finally {
      rmSync(cache, { recursive: true });
    }
  });
}

/** Waits for all of them, also where one fails. @throws what the first one that failed threw */
async function allOf<T>(promises: readonly Promise<T>[]): Promise<T[]> {
  await Promise.allSettled(promises);
  return Promise.all(promises);
}
