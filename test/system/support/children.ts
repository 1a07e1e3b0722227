import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { until } from './mounts.ts';
import { filesOpenIn } from './open-files.ts';
import { inTime } from './patience.ts';

/** The exit code of a process, or the signal that ended it. */
export type End = readonly [code: number | null, signal: NodeJS.Signals | null];

/** Waits for the end of a process, which may have ended before. @throws Error that names it when it does not end */
export async function endOf(child: ChildProcess): Promise<End> {
  if (!hasEnded(child)) await inTime(`the end of ${commandOf(child)}`, once(child, 'exit'));
  return [child.exitCode, child.signalCode];
}

/**
 * Ends a process, and waits until it has let go of everything: one that waits for a mount lives on until that answers.
 */
export async function kill(child: ChildProcess, signal: NodeJS.Signals = 'SIGTERM'): Promise<End> {
  child.kill(signal);
  return endOf(child);
}

/** Returns the first output of a process. @throws Error that names it when it ends without any */
export async function firstOutput(child: ChildProcess, output = child.stdout): Promise<Buffer> {
  const first = new Promise<Buffer>((resolve, reject) => {
    if (output === null) throw new Error(`no output of ${commandOf(child)} is read`);
    output.once('data', resolve);
    output.once('close', () => reject(new Error(`it ended without output: ${commandOf(child)}`)));
  });
  return inTime(`output of ${commandOf(child)}`, first);
}

/** Waits until a process has a file open. @throws Error that names both when it ends before */
export async function opens(child: ChildProcess, ...path: readonly string[]): Promise<void> {
  const file = join(...path);
  await until(`${commandOf(child)} opens ${file}`, () => hasEnded(child) || filesOpenIn(child.pid).includes(file));
  if (hasEnded(child)) throw new Error(`it ended with ${child.exitCode ?? child.signalCode}: ${commandOf(child)}`);
}

function hasEnded({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null;
}

function commandOf({ spawnargs }: ChildProcess): string {
  return spawnargs.join(' ');
}
