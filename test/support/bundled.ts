import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';

export interface Bundled {
  readonly path: string;
  remove(): void;
}

/**
 * Makes one file of a program and what it imports of ours, which starts faster than its sources do, and runs without
 * the loader that these need: that one starts a thread, which gets a copy of the environment.
 * @param entry of which the name must be unique among all that are bundled
 */
export async function bundled(entry: string): Promise<Bundled> {
  const name = entry.replace(/^.*\/|\.ts$/g, '');
  // Below node_modules packages are found, and git does not see it.
  const path = join(import.meta.dirname, `../../node_modules/.cache/${name}-${process.pid}.mjs`);
  await build({
    entryPoints: [entry],
    outfile: path,
    bundle: true,
    format: 'esm',
    platform: 'node',
    packages: 'external',
    logLevel: 'error',
  });
  return { path, remove: () => rmSync(path) };
}
