import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { PATIENCE } from './patience.ts';
import { findProgram, toolEnvironment } from './requirements.ts';

const sources = fileURLToPath(new URL('../../fixtures/', import.meta.url));

/** The programs of test/fixtures; each takes the path of a state file first. */
export type FixtureName = 'counter' | 'tree' | 'python' | 'java';

/** How to start a fixture: a program and its arguments, all paths absolute. */
export type Command = readonly [program: string, ...args: readonly string[]];

function compile(program: string, ...args: readonly string[]): void {
  const result = spawnSync(program, args, { env: toolEnvironment, encoding: 'utf8', timeout: PATIENCE });
  if (result.status !== 0) throw new Error(`${program} ${args.join(' ')}: ${result.stderr || result.error?.message}`);
}

/**
 * Builds a fixture in `directory` and returns the command that runs it.
 *
 * @param mebibytes memory that it fills and compares; `tree` takes no such argument
 * @param canary a string that only the process's memory will hold; `counter` alone takes it
 */
export function buildFixture(
  name: FixtureName,
  options: { directory: string; stateFile: string; mebibytes?: number; canary?: string },
): Command {
  const { directory, stateFile, mebibytes = 16, canary } = options;
  const output = join(directory, name);
  switch (name) {
    case 'counter':
      compile('gcc', '-O2', '-static', '-o', output, join(sources, 'counter.c'));
      return [output, stateFile, String(mebibytes), ...(canary === undefined ? [] : [canary])];
    case 'tree':
      compile('gcc', '-O2', '-pthread', '-o', output, join(sources, 'tree.c'));
      return [output, stateFile];
    case 'python':
      return ['/usr/bin/python3', join(sources, 'counter.py'), stateFile, String(mebibytes)];
    case 'java': {
      compile('javac', '-d', directory, join(sources, 'Counter.java'));
      const java = findProgram('java');
      if (java === undefined) throw new Error('there is no java');
      return [java, '-Xshare:auto', '-cp', directory, 'Counter', stateFile, String(mebibytes)];
    }
  }
}

/** What a fixture wrote at its last count: `count` and, by name, ok or bad for everything it compares. */
export interface FixtureState {
  readonly count: number;
  /** Whole comparisons of the memory; a fixture without this field compares everything at each count. */
  readonly passes: number;
  /** The names of what is no longer as it should be; empty when all is well. */
  readonly damaged: readonly string[];
  readonly fields: Readonly<Record<string, string>>;
}

/** Reads a fixture's state file, or returns undefined while there is none. */
export function readState(stateFile: string): FixtureState | undefined {
  if (!existsSync(stateFile)) return undefined;
  const words = readFileSync(stateFile, 'utf8').trim().split(' ');
  const fields: Record<string, string> = {};
  for (const word of words) {
    const [name = '', value = ''] = word.split('=');
    fields[name] = value;
  }
  const damaged = Object.keys(fields).filter((name) => fields[name] === 'bad' || fields[name] === 'lost');
  const count = Number(fields['count']);
  return { count, passes: Number(fields['passes'] ?? count), damaged, fields };
}

/**
 * Waits until a fixture's state satisfies `condition` and returns it.
 *
 * @throws Error with the last state when that takes more than `timeout` milliseconds
 */
export async function waitForState(
  stateFile: string,
  condition: (state: FixtureState) => boolean,
  timeout = PATIENCE,
): Promise<FixtureState> {
  const deadline = Date.now() + timeout;
  for (;;) {
    const state = readState(stateFile);
    if (state !== undefined && condition(state)) return state;
    if (Date.now() > deadline) throw new Error(`${stateFile} stopped at ${JSON.stringify(state?.fields)}`);
    await sleep(50);
  }
}

/**
 * Has a fixture rest while `dump` runs: then it has no file open and nothing half done, and its state file holds its
 * last state. A dump at another moment holds a file under its temporary name, which the first restored process takes
 * away from the second.
 */
export async function whileAtRest<T>(stateFile: string, dump: () => T | Promise<T>, timeout = PATIENCE): Promise<T> {
  const [hold, held] = [`${stateFile}.hold`, `${stateFile}.held`] as const;
  const deadline = Date.now() + timeout;
  writeFileSync(hold, '');
  try {
    while (!existsSync(held)) {
      if (Date.now() > deadline) throw new Error(`the process of ${stateFile} does not rest`);
      await sleep(10);
    }
    return await dump();
  } finally {
    for (const file of [hold, held]) rmSync(file, { force: true });
  }
}

/** The first words of the memory that `counter` fills: no file has them but a dump. */
export function memoryOfCounter(): Buffer {
  const bits = (value: bigint): bigint => BigInt.asUintN(64, value);
  const words = Buffer.alloc(64);
  for (let index = 0; index < 8; index++) {
    let z = bits(BigInt(index + 1) * 0x9e3779b97f4a7c15n);
    z = bits((z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n);
    z = bits((z ^ (z >> 27n)) * 0x94d049bb133111ebn);
    words.writeBigUInt64LE(z ^ (z >> 31n), index * 8);
  }
  return words;
}
