import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { expect } from 'vitest';
import { ckptfsProgram } from './mounts.ts';
import type { CommandResult, Namespace } from './namespace.ts';
import { PATIENCE } from './patience.ts';
import { toolEnvironment } from './requirements.ts';
import { indentedBlocks } from './typed.ts';

interface Step {
  readonly command: string;
  readonly output: string;
}

/** Returns the commands of a page of the documents, with what is written below each. @param name `keys.md` */
function stepsOf(name: string): Step[] {
  const page = readFileSync(new URL(`../../../docs/${name}`, import.meta.url), 'utf8');
  const headings = page.match(/^## .*$/gm) ?? [];
  return headings.flatMap((heading) => indentedBlocks(page, heading)).flatMap(stepsOfBlock);
}

/** Splits a block at its prompts. A line that ends in a backslash goes on, and a here-document to its end. */
function stepsOfBlock(block: string): Step[] {
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
  if (/<<'?END'?/.test(command)) return command.endsWith('\nEND');
  if (/^(?:for|until) /.test(command)) return /; done\b/.test(command);
  return !command.endsWith('\\');
}

export interface Walk {
  /** The page below docs: `keys.md`. */
  readonly page: string;
  /** The directory in which its commands are typed. */
  readonly directory: string;
  /** Where configurations and default keys are; the page calls it HOME. */
  readonly config: string;
  /** What the page calls by other names: `kms.example` for the address of a server. */
  readonly names?: Readonly<Record<string, string>>;
  /** A directory of programs that are to be found before others. */
  readonly programs?: string;
  /** Variables that the commands have. */
  readonly environment?: NodeJS.ProcessEnv;
  /** Where the commands run, instead of beside the tests. */
  readonly namespace?: Namespace;
}

/** Types the commands of a page, one after the other, and compares what they print with what is written below them. */
export function walk({ page, directory, config, names = {}, programs, environment = {}, namespace }: Walk): void {
  const steps = stepsOf(page);
  expect(steps.length).toBeGreaterThan(10);
  const path = [programs, dirname(ckptfsProgram), toolEnvironment['PATH']].filter(Boolean).join(':');
  const run = namespace?.run ?? runHere;
  const variables = Object.entries({ ...environment, XDG_CONFIG_HOME: config, PATH: path })
    .map(([name, value]) => `${name}='${value}'`)
    .join(' ');
  for (const { command, output } of steps) {
    const typed = Object.entries(names).reduce((text, [name, here]) => text.replaceAll(name, here), command);
    const script = `exec 2>&1\ncd '${directory}'; export ${variables}\n${typed}`;
    const { status, stdout } = run('bash', '-c', script);
    const printed = Object.entries(names).reduce((text, [name, here]) => text.replaceAll(here, name), stdout);
    const shown = (text: string): string =>
      withoutVarying(text.replaceAll(directory, 'HERE').replaceAll(config, 'HOME'));
    expect([command, status, shown(printed)]).toEqual([command, 0, shown(output)]);
  }
}

function runHere(program: string, ...words: readonly string[]): CommandResult {
  return spawnSync(program, words, { env: toolEnvironment, encoding: 'utf8', timeout: PATIENCE });
}

/** Names what differs from run to run. Columns are as wide as what is in them, such as the address of a server. */
function withoutVarying(text: string): string {
  return text
    .replace(/\b[0-9a-f]{32}\b/g, 'ID')
    .replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z/g, 'TIME')
    .replace(/(?<![\w-])[A-Za-z0-9_-]{43}(?![\w-])/g, 'THUMBPRINT')
    .replace(/\bfetched \d+ KiB/g, 'fetched SOME KiB')
    .replace(/ {2,}/g, '  ')
    .trimEnd();
}
