import { expect, test } from 'vitest';
import { plot } from '../../plot.ts';
import { scenarioOf } from './results.ts';

const scenario = scenarioOf({ gocryptfs: [5e8, 4e8, 6e8], ckptfs: [1e9, 1.1e9, 0.9e9] });

test('a plot says what it shows, the best first', () => {
  const svg = plot(scenario, 3);
  const texts = [...svg.matchAll(/<text[^>]*>([^<]*)</g)].map(([, text]) => text);
  expect(svg).toMatch(/^<svg /);
  expect(texts).toContain('Reading 1 GiB');
  expect(texts).toContain('MB/s; higher is better; median of 3 rounds, whiskers from least to greatest');
  expect(texts).toContain('1,000 MB/s');
  expect(texts).toContain('500 MB/s');
  expect(texts.indexOf('ckptfs')).toBeLessThan(texts.indexOf('gocryptfs'));
});

test('bars are as long as their medians, and ours has its own colour', () => {
  const bars = [...plot(scenario, 3).matchAll(/<path d="M([\d.]+) [\d.]+l([\d.]+) 0l0[^"]*" fill="(#[0-9a-f]{6})"/g)];
  const [ours, other] = bars.map(([, , length, colour]) => ({ length: Number(length), colour }));
  expect((ours?.length ?? 0) / (other?.length ?? 1)).toBeCloseTo(2, 1);
  expect(ours?.colour).not.toBe(other?.colour);
});

test('nothing in it is loaded from elsewhere or run', () => {
  expect(plot(scenario, 3)).not.toMatch(/<script|href=|url\(http/);
});
