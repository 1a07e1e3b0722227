import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmdirSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { CkptfsError, ioError } from '../../base/errors.ts';
import { withoutInheritance } from '../../base/linux/descriptors.ts';
import { enterPrivateMountNamespace } from '../../base/linux/namespaces.ts';
import { O_PATH } from '../../base/linux/open-flags.ts';
import { MountNamespace } from '../mounts/mount-namespace.ts';
import { type BackgroundMountOptions, type MountHandle, mountImage } from './mount.ts';

export interface ExecOptions extends Omit<BackgroundMountOptions, 'mountPoint' | 'endWithCaller' | 'logFile'> {
  /** Program and arguments; `{}` in any of them stands for the mount. */
  readonly command: readonly string[];
  /**
   * Run the command in the mount namespace of the mount, where `{}` is an ordinary path. Otherwise it runs where the caller is, and `{}` is a
   * path through a descriptor of this process: only root can go that way, and only where this process is seen in /proc.
   */
  readonly privateNamespace?: boolean;
}

export interface ExecResult {
  /** Of the command; 128 and the number of the signal that ended it. */
  readonly exitCode: number;
  /**
   * What kept the image from being sealed, with `write`: `busy` when something that the command left running still uses the mount, and so
   * seals it when it ends; else as {@link unmountImage} throws.
   */
  readonly failure: CkptfsError | undefined;
  /** 32 hexadecimal digits. */
  readonly imageId: string;
}

/** Sent to us alone; those of the terminal reach the command by themselves. */
const forwarded = ['SIGTERM', 'SIGHUP', 'SIGUSR1', 'SIGUSR2'] as const;
const fromTerminal = ['SIGINT', 'SIGQUIT'] as const;

/**
 * Runs a command that sees an image mounted, in a mount namespace where nobody else does, and unmounts again: with `write` the image is then
 * sealed, whatever came of the command. The calling process stays in that namespace. Needs root.
 * @throws CkptfsError as mountImage; `missing-feature` without root; `io` when the command cannot be run
 */
export async function execWithMount(options: ExecOptions): Promise<ExecResult> {
  const { command, privateNamespace = false, write = false } = options;
  if (command.length === 0) throw new CkptfsError('bad-argument', 'no command was given');
  const caller = MountNamespace.ofThisThread();
  enterPrivateMountNamespace();
  const own = MountNamespace.ofThisThread();
  const mountPoint = mkdtempSync(join(tmpdir(), 'ckptfs-exec-'));
  try {
    const mounted = await mountImage({ ...options, mountPoint, endWithCaller: true });
    // Opened for as long as the command runs: what a path through it leads to is in no mount table.
    const root = openSync(mounted.mountPoint, O_PATH);
    const path = privateNamespace ? mounted.mountPoint : `/proc/${process.pid}/fd/${root}`;
    const started = (work: () => ChildProcess): ChildProcess => (privateNamespace ? work() : caller.run(own, work));
    let exitCode: number | undefined;
    let failure: CkptfsError | undefined;
    try {
      exitCode = await run(
        command.map((word) => word.replaceAll('{}', path)),
        started,
      );
    } finally {
      closeSync(root);
      failure = await end(mounted, write);
    }
    return { exitCode, failure, imageId: mounted.imageId };
  } finally {
    rmdirSync(mountPoint);
    for (const namespace of [own, caller]) namespace.close();
  }
}

/** What the command left running may still use the mount. Nobody waits for that, but what was written is then not sealed yet. */
async function end(mounted: MountHandle, write: boolean): Promise<CkptfsError | undefined> {
  if (!write) {
    await mounted.unmount({ lazy: true });
    return undefined;
  }
  try {
    await mounted.unmount();
    return undefined;
  } catch (cause) {
    if (!(cause instanceof CkptfsError)) throw cause;
    if (cause.code !== 'busy') return cause;
    await mounted.unmount({ lazy: true }).catch(() => undefined);
    return new CkptfsError('busy', `not sealed yet, as the command left something running: ${cause.message}`, {
      data: { reason: 'left-running' },
      ...(cause.path === undefined ? {} : { path: cause.path }),
      cause,
    });
  }
}

/** @param started does what starts the process, in the mount namespace that it is to have */
function run(command: readonly string[], started: (work: () => ChildProcess) => ChildProcess): Promise<number> {
  const [program = '', ...args] = command;
  return new Promise((resolve, reject) => {
    const child = started(() => withoutInheritance(() => spawn(program, args, { stdio: 'inherit' })));
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
