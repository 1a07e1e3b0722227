import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect } from 'vitest';
import { ckptfsProgram, clear } from './support/mounts.ts';
import { openNamespace } from './support/namespace.ts';
import { describeIf, systemTest } from './support/requirements.ts';
import { Terminal, withoutIds } from './support/transcript.ts';

const readme = readFileSync(fileURLToPath(new URL('../../README.md', import.meta.url)), 'utf8');

/** The indented blocks of a section, without their indentation. */
function blocksOf(heading: string): string[] {
  const section = readme.slice(readme.indexOf(heading)).split(/\n## /)[0] ?? '';
  return [...section.matchAll(/(?:^ {4}.*\n|^\n(?= {4}))+/gm)].map(([block]) => block.replaceAll(/^ {4}/gm, '').trim());
}

let base: string;
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'ckptfs-readme-'));
});
afterEach(() => {
  clear(join(base, 'mnt'));
  rmSync(base, { recursive: true });
});

describeIf(['root', 'fuse', 'criu', 'namespaces'], 'the first block of the README', () => {
  systemTest([], 'can be typed as it stands', async () => {
    const [block = ''] = blocksOf('# ckptfs');
    expect(block).toContain('criu restore');
    writeFileSync(join(base, 'typed'), block);
    const namespace = await openNamespace();
    try {
      const line = `PATH='${dirname(ckptfsProgram)}':$PATH; cd '${base}'; set -e; . ./typed; kill -9 "$(cat pid)"`;
      expect(namespace.run('bash', '-c', line)).toMatchObject({ status: 0 });
    } finally {
      await namespace.close();
    }
  });
});

systemTest([], 'the tour of the README can be typed as it stands, and prints what it says', () => {
  const [, tour = ''] = blocksOf('## 60 seconds');
  const terminal = new Terminal(base);
  mkdirSync(join(base, 'config'));
  const steps = tour.split(/^\$ /m).slice(1);
  expect(steps.length).toBeGreaterThan(4);
  for (const step of steps) {
    const [command = '', ...output] = step.trimEnd().split('\n');
    const printed = output.map((line) => `${line}\n`).join('');
    const { status, stdout, stderr } = terminal.shell(command);
    expect([command, status, withoutIds(stdout)], stderr).toEqual([command, 0, withoutIds(printed)]);
  }
});
