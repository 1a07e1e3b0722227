// Goal: a check of a directory names each file that is damaged, and those that nothing protects.
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { criuLayer, criuLayers } from '../../support/criu-fixtures.ts';
import { MadeLayers, outcome } from '../../support/made-criu-layer.ts';

const made = new MadeLayers();
const temporary: string[] = [];

afterEach(() => {
  made.end();
  for (const each of temporary.splice(0)) rmSync(each, { recursive: true });
});

test.each(criuLayers.map(({ name }) => name))('%s has no faults', (name) => {
  const { encrypted, secrets } = criuLayer(name);
  const layer = made.open(encrypted, secrets);
  const report = outcome(layer.verify());
  expect(report.faults).toEqual([]);
  expect(report.files).toBe(layer.files.length);
  expect(report.bytes).toBe(layer.files.reduce((sum, { size }) => sum + size, 0));
  expect(report.unprotected.map(String)).toContain('stats-dump');
});

test('each damaged file is named, once, and the page digest is judged all the same', () => {
  const { encrypted, secrets } = criuLayer('rich');
  const copy = mkdtempSync(path.join(tmpdir(), 'criu-'));
  temporary.push(copy);
  cpSync(encrypted, copy, { recursive: true });
  for (const [name, at] of [
    ['core-20.img', 500],
    ['ghost-file-1.img', 5000],
    ['sk-queues.img', 4000],
    ['pages-3.img', 70_000],
  ] as const) {
    const contents = readFileSync(path.join(copy, name));
    contents.writeUInt8(contents.readUInt8(at) ^ 1, at);
    writeFileSync(path.join(copy, name), contents);
  }
  const { faults, pageDigest } = outcome(made.open(copy, secrets).verify());
  expect(faults.map(({ name }) => name.toString())).toEqual(['core-20.img', 'ghost-file-1.img', 'sk-queues.img']);
  for (const { reason } of faults) expect(reason).toMatch(/^the tag (of|at) .* does not match$/);
  expect(pageDigest.outcome).toBe('differs');
});
