// Measures dumps and restores of real programs, and restores from a store over a network: scripts/bench/README.md. This
// part makes a private place, with a network of its own, and cleans up after it.
import { spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

const project = join(import.meta.dirname, '..', '..', '..');

const USAGE = `npm run bench:remote -- [OPTIONS]        as root; prints its tables, and writes nothing

  --records N       how many records each program holds (300000)
  --rounds N        rounds that count, each of which takes every way in turn (5)
  --programs A,B    of Python, JVM, redis, PostgreSQL
  --parts A,B       of dumps, local, remote, many
  --out FILE        writes every value as JSON
`;

/** A network whose only link is as fast as one of 1 Gbit/s; it adds no delay. */
const LINK = `ip link set lo up
  tc qdisc add dev lo root tbf rate 1gbit burst 256k latency 50ms`;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      help: { type: 'boolean', short: 'h' },
      records: { type: 'string', default: '300000' },
      rounds: { type: 'string', default: '5' },
      programs: { type: 'string', default: 'Python,JVM,redis,PostgreSQL' },
      parts: { type: 'string', default: 'dumps,local,remote,many' },
      out: { type: 'string', default: '' },
    },
  });
  if (values.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  if (process.getuid?.() !== 0) throw new Error('it mounts and restores: run it as root');
  if (!existsSync(join(project, 'dist', 'bundle', 'ckptfs.js'))) throw new Error('there is no dist: npm run build');
  const directory = mkdtempSync(join(tmpdir(), 'ckptfs-bench-'));
  // The server of a database has a user of its own.
  chmodSync(directory, 0o755);
  const script = `set -e; . "$1"; mount -t tmpfs tmpfs /run
    mkdir "$2/memory"; mount -t tmpfs -o mode=755 tmpfs "$2/memory"; ${LINK}; shift; "\${@:2}" & wait $!`;
  const inside = [process.execPath, ...process.execArgv, join(import.meta.dirname, 'inside.ts')];
  const words = [directory, values.records, values.rounds, values.programs, values.parts, values.out];
  const namespaces = ['--pid', '--mount', '--net', '--ipc', '--fork', '--kill-child', '--mount-proc'];
  const bash = ['bash', '-c', script, 'bash', join(project, 'scripts/lib/env.sh'), directory, ...inside, ...words];
  const { NODE_EXTRA_CA_CERTS: _, ...environment } = process.env;
  const child = spawn('unshare', [...namespaces, ...bash], {
    cwd: project,
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...environment, LC_ALL: 'C' },
    detached: true,
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => child.kill('SIGKILL'));
  try {
    return await new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code) => resolve(code ?? 130));
    });
  } finally {
    rmSync(directory, { recursive: true, force: true, maxRetries: 10 });
  }
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
