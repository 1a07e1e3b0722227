import { spawn } from 'node:child_process';
import fs from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { CkptfsError, ioError } from '../base/errors.ts';
import { type BackgroundMountOptions, mountImage } from './mount.ts';
import { enterPrivateMountNamespace } from './system-calls.ts';

export interface ExecOptions
  extends Omit<BackgroundMountOptions, 'mountPoint' | 'write' | 'endWithCaller' | 'logFile'> {
  /** Program and arguments; `{}` in any of them stands for the mount point. */
  readonly command: readonly string[];
}

/** Sent to us alone; those of the terminal reach the command by themselves. */
const forwarded = ['SIGTERM', 'SIGHUP', 'SIGUSR1', 'SIGUSR2'] as const;
const fromTerminal = ['SIGINT', 'SIGQUIT'] as const;

/**
 * Runs a command that sees an image mounted, in a mount namespace where nobody else does, and unmounts again. The calling process stays in
 * that namespace. Needs root.
 * @returns the command's exit code; 128 and the number of the signal that ended it
 * @throws CkptfsError as mountImage; `missing-feature` without root; `io` when the command cannot be run
 */
export async function execWithMount(options: ExecOptions): Promise<number> {
  const [program, ...args] = options.command;
  if (program === undefined) throw new CkptfsError('bad-argument', 'no command was given');
  enterPrivateMountNamespace();
  const mountPoint = fs.mkdtempSync(join(tmpdir(), 'ckptfs-exec-'));
  try {
    const mounted = await mountImage({ ...options, mountPoint, endWithCaller: true });
    const withMountPoint = (text: string): string => text.replaceAll('{}', mounted.mountPoint);
    try {
      return await run(withMountPoint(program), args.map(withMountPoint));
    } finally {
      // What the command left running may still use the mount, but nobody waits for that.
      await mounted.unmount({ lazy: true });
    }
  } finally {
    fs.rmdirSync(mountPoint);
  }
}

function run(program: string, args: readonly string[]): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: 'inherit' });
    const forward = (signal: NodeJS.Signals): void => void child.kill(signal);
    const leave = (): void => undefined;
    for (const signal of forwarded) process.on(signal, forward);
    for (const signal of fromTerminal) process.on(signal, leave);
    const settle = (): void => {
      for (const signal of forwarded) process.removeListener(signal, forward);
      for (const signal of fromTerminal) process.removeListener(signal, leave);
    };
    child.once('error', (cause) => {
      settle();
      reject(ioError('run', program, cause));
    });
    child.once('exit', (code, signal) => {
      settle();
      resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal]));
    });
  });
}
