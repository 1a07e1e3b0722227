import { bash, run } from '../../lib/commands.ts';

let updated = false;

/**
 * Installs packages by apt-get.
 * @throws Error where there is no apt, or it fails
 */
export async function installPackages(packages: readonly string[]): Promise<void> {
  process.stderr.write(`installing ${packages.join(', ')}\n`);
  if (!updated) await run('apt-get', '-qq', 'update');
  updated = true;
  await run(...bash('DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install "$@"', ...packages));
}

/** Asks dpkg for the version of a program that does not print it; returns a question mark where there is no dpkg. */
export async function packageVersion(name: string): Promise<string> {
  try {
    return (await run('dpkg-query', '--show', name)).trim().split('\t')[1] ?? '?';
  } catch {
    return '?';
  }
}
