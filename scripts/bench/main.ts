// The benchmark: docs/performance.md says what it measures. This part makes a private place and cleans up after it.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import { join } from 'node:path';
import { machineKinds } from './costs.ts';
import { parseOptions, usage } from './options.ts';
import { ordinaryOutput, writePages } from './page.ts';
import { withUring } from './uring.ts';

const project = join(import.meta.dirname, '..', '..');

/**
 * Runs inside.ts in pid and mount namespaces of its own: however it ends, its processes and mounts are gone with the
 * namespaces, and what others have mounted cannot be touched. Resolves with its exit code.
 */
async function runInside(directory: string, args: readonly string[]): Promise<number> {
  const inside = [process.execPath, ...process.execArgv, join(import.meta.dirname, 'inside.ts'), directory, ...args];
  // A bash that waits also reaps what daemons leave.
  const init = '. "$1"; shift; "$@" & wait $!';
  const namespace = ['--pid', '--mount', '--fork', '--kill-child', '--mount-proc'];
  const child = spawn(
    'unshare',
    [...namespace, 'bash', '-c', init, 'bash', join(project, 'scripts/lib/env.sh'), ...inside],
    {
      cwd: project,
      stdio: ['ignore', 'inherit', 'inherit'],
      env: ownEnvironment(),
      // Out of reach of a Ctrl-C, which is for this process to handle.
      detached: true,
    },
  );
  const stop = (signal: NodeJS.Signals): void => {
    process.stderr.write(`\n${signal}: cleaning up\n`);
    child.kill('SIGKILL');
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, stop);
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve(code ?? 130));
  });
}

/** Leaves out what makes every start of Node read a list of certificates, for 27 ms: no host needs that to restore. */
function ownEnvironment(): NodeJS.ProcessEnv {
  const { NODE_EXTRA_CA_CERTS: _, ...rest } = process.env;
  return rest;
}

async function main(): Promise<number> {
  const args = process.argv.slice(2);
  const options = parseOptions(args, ordinaryOutput);
  if (options === undefined) {
    process.stdout.write(usage);
    return 0;
  }
  if (options.pageOnly) {
    for (const kind of machineKinds) writePages(options.out ?? ordinaryOutput, kind);
    return 0;
  }
  if (process.getuid?.() !== 0) throw new Error('it mounts and restores: run it as root');
  if (!fs.existsSync(join(project, 'dist', 'bundle', 'ckptfs.js'))) throw new Error('there is no dist: npm run build');
  const directory = fs.mkdtempSync(join(options.directory, 'ckptfs-bench-'));
  try {
    const measure = (): Promise<number> => runInside(directory, args);
    return await (options.enableUring ? withUring(measure) : measure());
  } finally {
    fs.rmSync(directory, { recursive: true, force: true, maxRetries: 10 });
  }
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
