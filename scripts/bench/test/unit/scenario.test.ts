import { expect, test } from 'vitest';
import type { Probe } from '../../costs.ts';
import { parseOptions } from '../../options.ts';
import { type Competitor, runScenario, type Scenario } from '../../scenario.ts';

const costs: Probe = { systemCall: 1e-6, cachedRead: 2e-6, firstTouch: 1e-5, memoryCopy: 1e9 };

/** @param probes what the machine takes before the first round and after each; unless told, always the same */
function quietBench(rounds: number, probes: Probe[] = []) {
  const options = parseOptions(['--rounds', `${rounds}`], { documents: '/docs', results: '/results' });
  if (options === undefined) throw new Error('no options');
  const skipped: string[] = [];
  const failed: string[] = [];
  return {
    options,
    skipped,
    failed,
    costs: { ...costs, emptyNode: 0.1 },
    probe: async () => probes.shift() ?? costs,
    say: () => undefined,
    skip: (line: string) => void skipped.push(line),
    fail: (line: string) => void failed.push(line),
  };
}

function scenarioOf(...competitors: Competitor[]): Scenario {
  return { id: 'x', title: 'A scenario', unit: 'seconds', better: 'lower', competitors };
}

test('competitors take turns, each after all were checked', async () => {
  const order: string[] = [];
  const competitor = (name: string): Competitor => ({
    name,
    async verify() {
      order.push(`check ${name}`);
    },
    async measure(round) {
      order.push(`${name}${round}`);
      return order.length;
    },
  });
  const result = await runScenario(quietBench(3), 'random', scenarioOf(competitor('a'), competitor('b')));
  expect(order).toEqual(['check a', 'check b', 'a0', 'b0', 'a1', 'b1', 'a2', 'b2']);
  expect(result.measurements).toEqual([
    { competitor: 'a', values: [3, 5, 7] },
    { competitor: 'b', values: [4, 6, 8] },
  ]);
  expect(result.baseline).toBe('ckptfs');
});

test('a competitor that gives wrong bytes or fails is left out and named; a failure of ckptfs fails the run', async () => {
  const bench = quietBench(2);
  const wrong: Competitor = {
    name: 'wrong',
    verify: () => Promise.reject(new Error('other bytes')),
    measure: async () => 1,
  };
  const breaking: Competitor = {
    name: 'ckptfs',
    measure: (round) => (round === 0 ? Promise.resolve(1) : Promise.reject(new Error('broke'))),
  };
  const good: Competitor = { name: 'good', measure: async () => 2 };
  const result = await runScenario(bench, 'random', scenarioOf(wrong, breaking, good));
  expect(result.measurements).toEqual([{ competitor: 'good', values: [2, 2] }]);
  expect(bench.skipped).toEqual(['wrong in "A scenario": other bytes']);
  expect(bench.failed).toEqual(['ckptfs in "A scenario": broke']);
});

test('a scenario that no competitor finishes is an error, not an empty table', async () => {
  const broken: Competitor = { name: 'a', measure: () => Promise.reject(new Error('broke')) };
  await expect(runScenario(quietBench(1), 'random', scenarioOf(broken))).rejects.toThrow('no competitor');
});

test('a round before or after which the machine took longer is named', async () => {
  const slow = { ...costs, firstTouch: 2e-5 };
  const good: Competitor = { name: 'good', measure: async () => 1 };
  const result = await runScenario(quietBench(4, [costs, costs, slow, costs, costs]), 'random', scenarioOf(good));
  expect(result.unsteady).toEqual([
    { round: 1, cost: 'firstTouch', factor: 2 },
    { round: 2, cost: 'firstTouch', factor: 2 },
  ]);
});
