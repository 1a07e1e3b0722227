// npm run fuzz -- [--runs N] [--seed N] [--target NAME] [--index N]: random and mutated input for everything that
// parses bytes from outside. Exits with 1 at the first input that breaks a property, and leaves that input in
// a file.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { FuzzFailure, fuzz } from '../test/fuzz/run.ts';
import { fuzzTargets } from '../test/fuzz/targets.ts';

/** Inputs between two lines of progress. */
const BATCH = 20_000;

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '1000000' },
    seed: { type: 'string' },
    target: { type: 'string' },
    index: { type: 'string' },
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

const targets = fuzzTargets.filter(({ name }) => values.target === undefined || name === values.target);
if (targets.length === 0) throw new Error(`targets are ${fuzzTargets.map(({ name }) => name).join(', ')}`);
const seed = values.seed === undefined ? Date.now() % 2 ** 31 : number(values.seed, 'seed');
const first = number(values.index ?? '0', 'index');
const each = values.index === undefined ? Math.ceil(number(values.runs, 'runs') / targets.length) : 1;
say(`seed ${seed}, ${each} inputs for each of ${targets.map(({ name }) => name).join(', ')}`);
try {
  for (const target of targets) {
    const started = performance.now();
    const outcomes: Record<string, number> = {};
    let slowestMs = 0;
    for (let done = 0; done < each; done += BATCH) {
      const report = await fuzz(target, seed, Math.min(BATCH, each - done), first + done);
      for (const [name, count] of Object.entries(report.outcomes)) outcomes[name] = (outcomes[name] ?? 0) + count;
      slowestMs = Math.max(slowestMs, report.slowestMs);
    }
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    say(`${target.name}: ${each} in ${seconds} s, slowest ${slowestMs.toFixed(1)} ms, ${JSON.stringify(outcomes)}`);
  }
} catch (error) {
  if (!(error instanceof FuzzFailure)) throw error;
  const file = path.join(os.tmpdir(), `ckptfs-fuzz-${error.target}-${error.seed}-${error.index}.bin`);
  fs.writeFileSync(file, error.input);
  say(
    `FAILED ${error.message}\ninput in ${file}; again: --target ${error.target} --seed ${error.seed} --index ${error.index}`,
  );
  say(String(error.cause instanceof Error ? error.cause.stack : error.cause));
  process.exitCode = 1;
}
