import { bash, run } from '../lib/commands.ts';

/** Reads every file below `path` once, so that its bytes are in the page cache. */
export async function warm(path: string): Promise<void> {
  await run(...bash('find "$1" -type f -exec cat {} + >/dev/null', path));
}

/**
 * Drops every file below `path` from the page cache, and nothing else of this machine's.
 * @throws Error when more than a hundredth stays
 */
export async function evict(path: string): Promise<void> {
  const drop =
    'find "$1" -type f -exec sync {} + -exec sh -c \'for f; do dd if="$f" iflag=nocache count=0 status=none; done\' sh {} +';
  await run(...bash(drop, path));
  const measure = 'find "$1" -type f -exec fincore --bytes --noheadings --output RES,SIZE {} +';
  const lines = (await run(...bash(measure, path))).trim().split('\n');
  const pairs = lines.map((line) => line.trim().split(/\s+/).map(Number));
  const [cached, all] = [0, 1].map((column) => pairs.reduce((sum, pair) => sum + (pair[column] ?? 0), 0));
  if ((cached ?? 0) > (all ?? 0) / 100) throw new Error(`${cached} of ${all} bytes stayed in the page cache`);
}
