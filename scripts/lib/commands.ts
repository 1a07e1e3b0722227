import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';

/** Program and arguments. */
export type Command = readonly [program: string, ...args: readonly string[]];

/** A bash script that ends at the first failure, also within a pipe, and its `$1`, `$2`, … */
export function bash(script: string, ...args: readonly string[]): Command {
  return ['bash', '-c', `set -euo pipefail; ${script}`, 'bash', ...args];
}

/** No command takes that long, in milliseconds; one that waits for a broken mount would wait for ever. */
export const patience = { timeout: 600_000, killSignal: 'SIGKILL' } as const;

/** Starts a command away from any mount; who starts it ends it. */
export function start([program, ...args]: Command, options: SpawnOptions = {}): ChildProcess {
  return spawn(program, args, { cwd: '/', stdio: ['ignore', 'pipe', 'pipe'], ...options });
}

/**
 * Resolves when a child has ended with code 0.
 * @throws Error with what it wrote to stderr where it ended otherwise
 */
export async function ended(child: ChildProcess, what: string): Promise<string> {
  const output: Buffer[] = [];
  const errors: Buffer[] = [];
  child.stdout?.on('data', (data: Buffer) => output.push(data));
  child.stderr?.on('data', (data: Buffer) => errors.push(data));
  const [code, signal] = await new Promise<[number | null, string | null]>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (...status) => resolve(status));
  });
  if (code === 0) return Buffer.concat(output).toString();
  const last = Buffer.concat(errors).toString().trim().split('\n').slice(-4).join(' | ');
  throw new Error(`${what} ended with ${signal ?? code}: ${last}`);
}

/** Runs a command to its end and returns its stdout. @throws Error as {@link ended} */
export function run(...command: Command): Promise<string> {
  return ended(start(command, patience), command.slice(0, 3).join(' '));
}

/** Runs `action` and says how many seconds it took. */
export async function clocked<T>(action: () => T | Promise<T>): Promise<{ seconds: number; value: T }> {
  const began = process.hrtime.bigint();
  const value = await action();
  return { seconds: Number(process.hrtime.bigint() - began) / 1e9, value };
}

/** Seconds a command takes, from its start to its end. @throws Error as {@link ended} */
export async function timed(...command: Command): Promise<number> {
  return (await clocked(() => run(...command))).seconds;
}
