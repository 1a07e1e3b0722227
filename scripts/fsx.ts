// npm run fsx -- [--operations N] [--seed N] [--base DIRECTORY]: random operations on a writable mount, its daemon
// killed now and then, compared with a model. Root only. Exits with 1 at the first difference, and then keeps the
// image, its key and the daemon's log.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { runFsx } from '../test/fsx/run.ts';
import { WritableMount } from '../test/support/writable-mount.ts';

const { values } = parseArgs({
  options: {
    operations: { type: 'string', default: '200000' },
    seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
    base: { type: 'string', default: os.tmpdir() },
  },
});

function number(text: string, option: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 0) throw new Error(`--${option} is a whole number, not ${text}`);
  return value;
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

const operations = number(values.operations, 'operations');
const seed = number(values.seed, 'seed');
const directory = fs.mkdtempSync(path.join(values.base, 'ckptfs-fsx-'));
const mount = new WritableMount(directory);
say(`seed ${seed}, ${operations} operations, in ${directory}`);
const started = performance.now();
mount.mount();
try {
  const report = await runFsx(mount, {
    seed,
    operations,
    operationsPerSeal: 3000,
    operationsPerKill: 700,
    onProgress: (done) => {
      if (done > 0 && done % 20_000 === 0) say(`${done} in ${((performance.now() - started) / 1000).toFixed(0)} s`);
    },
  });
  say(
    Object.entries(report)
      .map(([what, count]) => `${what}: ${count}`)
      .sort()
      .join('\n'),
  );
  fs.rmSync(directory, { recursive: true });
} catch (error) {
  say(
    `FAILED ${error instanceof Error ? error.message : String(error)}\nthe image is in ${directory}; again: --seed ${seed}`,
  );
  mount.discard();
  process.exitCode = 1;
}
