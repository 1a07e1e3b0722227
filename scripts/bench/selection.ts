import { isNeeded, needed } from './kind-targets.ts';
import type { Options } from './options.ts';
import type { Scenario } from './scenario.ts';

type Chosen = Pick<Options, 'targets' | 'scenarios' | 'peers'>;

/** Whether a run measures a scenario: groups need not make its data otherwise. */
export function isSelected(id: string, { targets, scenarios }: Chosen): boolean {
  return (!targets || isNeeded(id)) && (scenarios === undefined || scenarios.includes(id));
}

/** Names who takes part: "ckptfs" for "ckptfs, lazy-pages". */
function programIn(name: string): string {
  return name.split(', ')[0] ?? name;
}

/** Leaves those in a scenario that take part in a run; returns undefined where the run does not measure it. */
export function selected(scenario: Scenario, chosen: Chosen): Scenario | undefined {
  if (!isSelected(scenario.id, chosen)) return undefined;
  const { targets, peers } = chosen;
  const compared = targets ? needed(scenario.id) : undefined;
  const competitors = scenario.competitors.filter(
    ({ name }) => (compared?.includes(name) ?? true) && (peers?.includes(programIn(name)) ?? true),
  );
  return competitors.length === 0 ? undefined : { ...scenario, competitors };
}
