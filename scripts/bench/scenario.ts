import type { Bench } from './bench.ts';
import { describeUnsteady, type Probe, unsteadyRounds } from './costs.ts';
import type { GroupName } from './options.ts';
import { names } from './peers/names.ts';
import type { ScenarioResult } from './results.ts';
import { summarize, toSignificant } from './statistics.ts';
import { formatValue, scaleFor } from './units.ts';

/** One row of a scenario. */
export interface Competitor {
  readonly name: string;
  /**
   * Runs once before the first round, outside of any timing.
   * @throws Error when the bytes it gives are not the right ones
   */
  verify?(): Promise<void>;
  /** One value in the scenario's unit. What it sets up and tears down around the part that counts does not count. */
  measure(round: number): Promise<number>;
}

export interface Scenario extends Pick<ScenarioResult, 'id' | 'title' | 'unit' | 'better'> {
  readonly competitors: readonly Competitor[];
  /** ckptfs unless told. */
  readonly baseline?: string;
  /** `sorted` unless told. */
  readonly order?: ScenarioResult['order'];
}

/** Scenarios that share data and belong together on the page. */
export interface Group {
  readonly name: GroupName;
  readonly heading: string;
  /** What is done and what counts, for readers of the page. */
  readonly method: string;
  /** Makes its data, hands its scenarios to `measure` and removes the data. */
  run(bench: Bench, measure: (scenario: Scenario) => Promise<void>): Promise<void>;
}

/**
 * Runs every competitor once per round, in turns, so that what changes on the machine meanwhile meets all alike.
 * Around each round the machine's own costs are probed.
 * A competitor that fails is left out from then on, with a line that says why.
 */
export async function runScenario(
  bench: Pick<Bench, 'options' | 'say' | 'skip' | 'fail' | 'costs' | 'probe'>,
  group: GroupName,
  scenario: Scenario,
): Promise<ScenarioResult> {
  const { id, title, unit, better, baseline = names.ours, order = 'sorted' } = scenario;
  const values = new Map<Competitor, number[]>();
  const attempt = async (competitor: Competitor, action: () => Promise<void>): Promise<void> => {
    try {
      await action();
    } catch (error) {
      values.delete(competitor);
      const line = `${competitor.name} in "${title}": ${error instanceof Error ? error.message : String(error)}`;
      if (competitor.name.startsWith(names.ours)) bench.fail(line);
      else bench.skip(line);
    }
  };
  for (const competitor of scenario.competitors) {
    values.set(competitor, []);
    await attempt(competitor, async () => competitor.verify?.());
  }
  const probes: Probe[] = [await bench.probe()];
  for (let round = 0; round < bench.options.rounds; round++) {
    for (const [competitor, all] of [...values]) {
      await attempt(competitor, async () => {
        all.push(toSignificant(await competitor.measure(round), 5));
      });
    }
    probes.push(await bench.probe());
  }
  if (values.size === 0) throw new Error(`"${title}": no competitor took part to the end`);
  const measurements = [...values].map(([{ name }, all]) => ({ competitor: name, values: all }));
  const unsteady = unsteadyRounds(bench.costs, probes);
  const result: ScenarioResult = { id, group, title, unit, better, baseline, order, measurements, unsteady };
  bench.say(describe(result));
  return result;
}

/** Describes each competitor in a line, for the person who watches. */
function describe({ title, unit, measurements, unsteady }: ScenarioResult): string {
  const summaries = measurements.map(({ competitor, values }) => ({ competitor, ...summarize(values) }));
  const scale = scaleFor(unit, Math.max(...summaries.map(({ median }) => median)));
  const lines = summaries.map(({ competitor, median, least, greatest }) => {
    const shown = [median, least, greatest].map((value) => formatValue(value, scale).padStart(14));
    return `  ${competitor.padEnd(34)}${shown[0]}   ${shown[1]} to ${shown[2]}`;
  });
  const warning = describeUnsteady(unsteady);
  return [`\n${title}`, ...lines, ...(warning === '' ? [] : [`  ${warning}`])].join('\n');
}
