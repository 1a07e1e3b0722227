import { expect, test } from 'vitest';
import type { Competitor, Scenario } from '../../scenario.ts';
import { isSelected, selected } from '../../selection.ts';

const all = { targets: false, scenarios: undefined, peers: undefined };
const competitor = (name: string): Competitor => ({ name, measure: async () => 1 });
const scenario: Scenario = {
  id: 'restore-one',
  title: 'Restoring',
  unit: 'seconds',
  better: 'lower',
  competitors: ['ckptfs', 'gpg', 'plain directory', 'ckptfs, lazy-pages'].map(competitor),
};
const namesIn = (chosen: Parameters<typeof selected>[1]) =>
  selected(scenario, chosen)?.competitors.map(({ name }) => name);

test('a whole run measures everything', () => {
  expect(selected(scenario, all)).toEqual(scenario);
});

test('a run for the targets measures what they compare, and nothing else', () => {
  const targets = { ...all, targets: true };
  expect(namesIn(targets)).toEqual(['ckptfs', 'plain directory', 'ckptfs, lazy-pages']);
  expect(selected({ ...scenario, id: 'restore-tree' }, targets)).toBeUndefined();
  expect(['restore-one-all', 'restore-tree'].map((id) => isSelected(id, targets))).toEqual([true, false]);
});

test('a run may be about single scenarios and competitors', () => {
  expect(namesIn({ ...all, peers: ['gpg', 'age'] })).toEqual(['gpg']);
  expect(namesIn({ ...all, peers: ['ckptfs'] })).toEqual(['ckptfs', 'ckptfs, lazy-pages']);
  expect(namesIn({ ...all, peers: ['age'] })).toBeUndefined();
  expect(namesIn({ ...all, scenarios: ['restore-one'] })).toHaveLength(4);
  expect(namesIn({ ...all, scenarios: ['restore-tree'] })).toBeUndefined();
});
