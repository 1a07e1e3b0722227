// Goal: the walk through the life of keys in docs/keys.md can be copied.
// Method: its commands run as they are written, one after the other, and print what is written below them.
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { ckptfsProgram } from './support/mounts.ts';
import { PATIENCE } from './support/patience.ts';
import { toolEnvironment } from './support/requirements.ts';
import { indentedBlocks } from './support/typed.ts';

const page = readFileSync(new URL('../../docs/keys.md', import.meta.url), 'utf8');
const base = mkdtempSync(join(tmpdir(), 'ckptfs-keys-walk-'));
afterAll(() => rmSync(base, { recursive: true }));

interface Step {
  readonly command: string;
  readonly output: string;
}

/** Splits a block at its prompts. A line that ends in a backslash goes on, and a here-document to its end. */
function stepsOf(block: string): Step[] {
  return block
    .split(/^\$ /m)
    .slice(1)
    .map((text) => {
      const lines = text.trimEnd().split('\n');
      let count = 1;
      while (!isWhole(lines.slice(0, count).join('\n')) && count < lines.length) count++;
      return { command: lines.slice(0, count).join('\n'), output: lines.slice(count).join('\n') };
    });
}

function isWhole(command: string): boolean {
  if (command.includes("<<'END'")) return command.endsWith('\nEND');
  if (command.startsWith('for ')) return /; done\b/.test(command);
  return !command.endsWith('\\');
}

/** Names what differs from run to run. */
function named(text: string): string {
  return text
    .replaceAll(join(base, 'config'), 'HOME')
    .replace(/\b[0-9a-f]{32}\b/g, 'ID')
    .replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ/g, 'TIME')
    .replace(/(?<![\w-])[A-Za-z0-9_-]{43}(?![\w-])/g, 'THUMBPRINT')
    .trimEnd();
}

test('the walk of docs/keys.md can be typed, and prints what it says', () => {
  const steps = page
    .match(/^## .*$/gm)
    ?.flatMap((heading) => indentedBlocks(page, heading))
    .flatMap(stepsOf);
  expect(steps?.length).toBeGreaterThan(15);
  mkdirSync(join(base, 'walk'));
  for (const { command, output } of steps ?? []) {
    const { status, stdout } = spawnSync('bash', ['-c', `exec 2>&1\n${command}`], {
      cwd: join(base, 'walk'),
      env: {
        ...toolEnvironment,
        PATH: `${dirname(ckptfsProgram)}:${toolEnvironment['PATH']}`,
        XDG_CONFIG_HOME: join(base, 'config'),
      },
      encoding: 'utf8',
      timeout: PATIENCE,
    });
    expect([command, status, named(stdout)]).toEqual([command, 0, named(output)]);
  }
});
