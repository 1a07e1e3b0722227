// Installs the packages of scripts/bench, which only the benchmark uses, where they are missing, and says so.
//
//     node scripts/bench/install.js            installs them
//     node scripts/bench/install.js --check    changes nothing; exits with 1 when they are missing
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const directory = import.meta.dirname;
/** A connection to the registry that stalls keeps npm waiting for many minutes: it is better to start again. */
const attempt = { cwd: directory, stdio: ['ignore', 'ignore', 'inherit'], timeout: 300_000, killSignal: 'SIGKILL' };

/** Returns the packages of a lock file, by their folders; none where there is no such file. */
function packagesIn(...path) {
  try {
    return JSON.parse(readFileSync(join(directory, ...path), 'utf8')).packages;
  } catch (error) {
    if (error.code === 'ENOENT') return {};
    throw error;
  }
}

function isInstalled() {
  const { '': _, ...wanted } = packagesIn('package-lock.json');
  const installed = packagesIn('node_modules', '.package-lock.json');
  return Object.entries(wanted).every(([folder, { integrity }]) => installed[folder]?.integrity === integrity);
}

function install() {
  execFileSync('npm', ['ci', '--loglevel=error', '--logs-max=0', '--no-audit', '--no-fund'], attempt);
}

if (process.argv[2] === '--check') process.exitCode = isInstalled() ? 0 : 1;
else if (!isInstalled()) {
  process.stderr.write('scripts/bench: installing its packages (npm ci)\n');
  try {
    install();
  } catch {
    install();
  }
}
