// The benchmark itself, in the private place that main.ts made: DIRECTORY, then the options.
import fs from 'node:fs';
import { join } from 'node:path';
import { run } from '../lib/commands.ts';
import { Bench, compiled, withoutPaths } from './bench.ts';
import { describeCosts, kindOf, measureCosts } from './costs.ts';
import { targetsOf } from './kind-targets.ts';
import { describeCommit, describeMachine, describeVersions } from './machine.ts';
import { type Options, parseOptions } from './options.ts';
import { addToHistory, ordinaryOutput, writePages } from './page.ts';
import { findPeers } from './peers/all.ts';
import { targetTable } from './report.ts';
import type { RunRecord, ScenarioResult } from './results.ts';
import { runScenario } from './scenario.ts';
import { groups } from './scenarios/all.ts';
import { selected } from './selection.ts';
import { targets } from './targets.ts';

const project = join(import.meta.dirname, '..', '..');

async function prepare(options: Options, directory: string): Promise<Bench> {
  const skipped: string[] = [];
  const memory = join(directory, 'memory');
  const runtime = join(directory, 'run');
  const peers = join(directory, 'peers');
  for (const path of [memory, runtime, peers]) fs.mkdirSync(path, { mode: 0o700 });
  await run('mount', '-t', 'tmpfs', '-o', 'mode=700', 'tmpfs', memory);
  process.env['XDG_RUNTIME_DIR'] = runtime;
  process.env['LC_ALL'] = 'C';
  const costs = await measureCosts(await compiled('machine-costs', directory), directory);
  process.stderr.write(`machine: ${describeCosts(costs)}\n`);
  const found = await findPeers(peers, options, (line) => {
    const clean = withoutPaths(line, directory);
    process.stderr.write(`skipped: ${clean}\n`);
    skipped.push(clean);
  });
  return new Bench(options, found, costs, directory, memory, skipped);
}

async function runAll(bench: Bench): Promise<ScenarioResult[]> {
  const results: ScenarioResult[] = [];
  for (const group of groups.filter(({ name }) => bench.options.groups.includes(name))) {
    try {
      await group.run(bench, async (scenario) => {
        const wanted = selected(scenario, bench.options);
        if (wanted !== undefined) results.push(await runScenario(bench, group.name, wanted));
      });
    } catch (error) {
      bench.fail(`${group.name}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  return results;
}

const [directory = '', ...args] = process.argv.slice(2);
const options = parseOptions(args, ordinaryOutput);
if (options !== undefined) {
  const bench = await prepare(options, directory);
  const scenarios = await runAll(bench);
  const { quick, whole, groups: measured, rounds, size, out } = options;
  const kind = kindOf(bench.costs);
  const record: RunRecord = {
    date: new Date().toISOString(),
    commit: await describeCommit(project),
    quick,
    whole,
    groups: measured,
    rounds,
    size,
    machine: await describeMachine(directory),
    kind,
    costs: bench.costs,
    versions: await describeVersions(bench.peers),
    scenarios,
    skipped: bench.skipped,
  };
  const known = options.targets ? targetsOf(record) : [...targetsOf(record), ...targets];
  // Of a run about a few scenarios, only what they tell.
  const judged = options.targets || whole ? known : known.filter((target) => target.measured(record) !== undefined);
  process.stdout.write(`\nmachine: ${describeCosts(bench.costs)}\n\n${targetTable(record, judged)}\n`);
  if (out !== undefined) {
    addToHistory(out, record);
    writePages(out, kind);
  }
  process.exitCode = bench.failed ? 1 : 0;
}
