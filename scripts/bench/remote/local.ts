import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../../lib/commands.ts';
import { evict } from '../page-cache.ts';
import type { Dump } from './dumping.ts';
import { type RestoreFigures, restore, type Stored } from './restoring.ts';
import { type Rounds, rounds } from './rounds.ts';
import type { Site } from './site.ts';
import { type LocalWay, localWays } from './ways.ts';

/** Makes an image of a dump, at the first call. @returns its path */
export async function encrypted(site: Site, dump: Dump, compress: string): Promise<string> {
  const image = site.in(dump.program.name, `enc-${compress}`);
  if (!existsSync(image))
    await run(site.ckptfs, 'encrypt', dump.images, image, '--key-file', site.key, '--compress', compress, '--quiet');
  return image;
}

/** Restores from files of this host, in memory or on a disk of which nothing is cached. */
export async function measureLocal(
  site: Site,
  dump: Dump,
  where: 'memory' | 'disk',
  count: number,
): Promise<Rounds<RestoreFigures>> {
  const placed = async (path: string): Promise<string> => {
    if (where === 'memory') return path;
    const copy = join(site.disk, path.slice(site.memory.length));
    mkdirSync(join(copy, '..'), { recursive: true });
    if (!existsSync(copy)) await run('cp', '--archive', '--sparse=always', path, copy);
    await evict(copy);
    return copy;
  };
  const find = async ({ source, compress = 'none' }: LocalWay): Promise<Stored> => {
    if (source === 'plain') return { images: await placed(dump.images) };
    if (source === 'archive') return { archive: await placed(dump.archive) };
    return { encrypted: await placed(await encrypted(site, dump, compress)) };
  };
  const figures = await rounds(count, localWays, async (way) => restore(site, dump, way, await find(way)));
  await run('rm', '-rf', join(site.disk, dump.program.name));
  return figures;
}
