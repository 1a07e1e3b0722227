// Goal: the commands in the README can be copied.
// Method: its blocks run as they are written, and print what is written below them.
import { spawnSync } from 'node:child_process';
import { chownSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect } from 'vitest';
import { asNobody, ckptfsProgram, clear, withFuseForAll } from './support/mounts.ts';
import { openNamespace } from './support/namespace.ts';
import { PATIENCE } from './support/patience.ts';
import { describeIf, systemTest } from './support/requirements.ts';
import { withoutIds } from './support/transcript.ts';
import { indentedBlocks } from './support/typed.ts';

const readme = readFileSync(fileURLToPath(new URL('../../README.md', import.meta.url)), 'utf8');

const blocksOf = (heading: string): string[] => indentedBlocks(readme, heading);

let base: string;
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'ckptfs-readme-'));
});
afterEach(() => {
  clear(join(base, 'mnt'));
  rmSync(base, { recursive: true });
});

describeIf(['root', 'fuse', 'criu', 'namespaces'], 'the first block of the README', () => {
  systemTest([], 'can be typed unchanged', async () => {
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

describeIf(['root', 'fuse', 'fusermount', 'setpriv'], 'the tour of the README', () => {
  systemTest([], 'can be typed by an ordinary user, and prints what it says', async () => {
    const steps = blocksOf('## 60 seconds').flatMap((block) => block.split(/^\$ /m).slice(1));
    expect(steps.length).toBeGreaterThan(10);
    chownSync(base, 65534, 65534);
    await withFuseForAll(() => {
      for (const step of steps) {
        const [command = '', ...output] = step.trimEnd().split('\n');
        const printed = output.map((line) => `${line}\n`).join('');
        const line = `PATH='${dirname(ckptfsProgram)}':$PATH; cd '${base}'; ${command}`;
        const [program, ...words] = [...asNobody(base), 'bash', '-c', line];
        const { status, stdout, stderr } = spawnSync(program, words, { encoding: 'utf8', timeout: PATIENCE });
        expect([command, status, withoutIds(stdout)], stderr).toEqual([command, 0, withoutIds(printed)]);
      }
    });
  });
});
