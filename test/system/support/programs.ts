import { spawnSync } from 'node:child_process';
import { PATIENCE } from './patience.ts';
import { toolEnvironment } from './requirements.ts';

/**
 * Runs an outside program to its end and returns its stdout.
 *
 * @throws Error with its stderr where it exits with another code than 0
 */
export function runProgram(program: string, ...args: readonly string[]): string {
  const result = spawnSync(program, args, {
    env: toolEnvironment,
    encoding: 'utf8',
    maxBuffer: 256 << 20,
    timeout: PATIENCE,
  });
  if (result.error) throw result.error;
  if (result.status !== 0) {
    throw new Error(`${program} ${args.join(' ')} exited with ${result.status}: ${result.stdout}${result.stderr}`);
  }
  return result.stdout;
}
