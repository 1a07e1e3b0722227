import { spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmdirSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { CkptfsError, ioError } from '../../base/errors.ts';
import { withoutInheritance } from '../../base/linux/descriptors.ts';
import { enterPrivateMountNamespace } from '../../base/linux/namespaces.ts';
import { O_PATH } from '../../base/linux/open-flags.ts';
import { MountNamespace } from '../mounts/mount-namespace.ts';
import { EndingSignals } from './ending-signals.ts';
import { LazyPages } from './lazy-pages.ts';
import { type BackgroundMountOptions, type MountHandle, mountImage } from './mount.ts';
import type { Starter } from './start-lazy-pages.ts';

export interface ExecOptions extends Omit<BackgroundMountOptions, 'mountPoint' | 'endWithCaller' | 'logFile'> {
  /** The program and its arguments. `{}` in any of them is replaced by the path of the mount. */
  readonly command: readonly string[];
  /**
   * Runs the command in the mount namespace of the mount, where `{}` is an ordinary path. Otherwise it runs in the
   * caller's, and `{}` is a path through a descriptor of this process. Only root can use that path, and only where this
   * process is visible in /proc.
   */
  readonly privateNamespace?: boolean;
  /**
   * Brings memory to processes that the command restores while they run (`criu restore --lazy-pages`): a directory, the
   * `--work-dir` of that restore. The mount stays until they have all of their memory. Not with `write`.
   */
  readonly lazyPages?: string | undefined;
  /** Is called before the command runs. */
  readonly onMounted?: ((mounted: Pick<MountHandle, 'warnings'>) => Promise<void>) | undefined;
}

export interface ExecResult {
  /** The command's exit code; 128 plus the number of the signal that ended it. */
  readonly exitCode: number;
  /**
   * Why the image is not sealed, with `write`: `busy` when a process that the command left running still uses the mount
   * (it is sealed when that ends); otherwise as {@link unmountImage} throws. With `lazyPages`: `io` when processes were
   * killed because their memory could not be brought, `interrupted` when a signal ended that before.
   */
  readonly failure: CkptfsError | undefined;
  /** 32 hexadecimal digits. */
  readonly imageId: string;
}

/** Signals that this process passes on. The terminal sends its signals to the command as well. */
const FORWARDED = ['SIGTERM', 'SIGHUP', 'SIGUSR1', 'SIGUSR2'] as const;
const FROM_TERMINAL = ['SIGINT', 'SIGQUIT'] as const;

/**
 * Mounts an image in a mount namespace where no other process sees it, runs a command, and unmounts. With `write` the
 * image is then sealed, whether the command succeeded or not. The calling process stays in that namespace. Needs root.
 * @throws as mountImage; `missing-feature` without root; `io` when the command cannot be run; `interrupted` by a signal
 *   before `criu lazy-pages` runs
 */
export async function execWithMount(options: ExecOptions): Promise<ExecResult> {
  const { command, privateNamespace = false, write = false, lazyPages } = options;
  if (command.length === 0) throw new CkptfsError('bad-argument', 'no command was given');
  if (write && lazyPages !== undefined) {
    throw new CkptfsError('bad-argument', 'an image that is being written cannot be restored from in the background');
  }
  const caller = MountNamespace.ofThisThread();
  enterPrivateMountNamespace();
  const own = MountNamespace.ofThisThread();
  const mountPoint = mkdtempSync(join(tmpdir(), 'ckptfs-exec-'));
  try {
    const mounted = await mountImage({ ...options, mountPoint, endWithCaller: true });
    // Stays open while the command runs. A path through it leads to a mount that is in no mount table of the caller.
    const root = openSync(mounted.mountPoint, O_PATH);
    const path = privateNamespace ? mounted.mountPoint : `/proc/${process.pid}/fd/${root}`;
    const started: Starter = (work) => (privateNamespace ? work() : caller.run(own, work));
    let exitCode: number | undefined;
    let failure: CkptfsError | undefined;
    try {
      await options.onMounted?.(mounted);
      const words = command.map((word) => word.replaceAll('{}', path));
      if (lazyPages === undefined) exitCode = await run(words, started);
      else ({ exitCode, failure } = await runLazily(words, { images: path, work: lazyPages, started }));
    } finally {
      closeSync(root);
      const unmounting = await end(mounted, options);
      failure ??= unmounting;
    }
    return { exitCode, failure, imageId: mounted.imageId };
  } finally {
    for (const namespace of [own, caller]) namespace.close();
    removeIfEmpty(mountPoint);
  }
}

/** Removes the mount point. One that could not be unmounted stays; the result of `end` says why. */
function removeIfEmpty(mountPoint: string): void {
  try {
    rmdirSync(mountPoint);
  } catch {
    // Something is mounted there still.
  }
}

/** Unmounts. A process that the command left running is not waited for; what was written is then not sealed yet. */
async function end(mounted: MountHandle, { write = false, ephemeral }: ExecOptions): Promise<CkptfsError | undefined> {
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
    const left = ephemeral === undefined ? 'sealed' : 'removed';
    return new CkptfsError('busy', `not ${left} yet, as the command left something running: ${cause.message}`, {
      data: { reason: 'left-running' },
      ...(cause.path === undefined ? {} : { path: cause.path }),
      cause,
    });
  }
}

/** Runs the command beside a `criu lazy-pages`, and waits until no process waits for memory any more. */
async function runLazily(
  command: readonly string[],
  { images, work, started }: { readonly images: string; readonly work: string; readonly started: Starter },
): Promise<{ exitCode: number; failure: CkptfsError | undefined }> {
  const signals = new EndingSignals();
  try {
    const lazyPages = await LazyPages.start(images, work, { started, signals });
    const ran = run(command, started);
    // Waits before it throws as well: other processes than the command may wait for memory.
    const failure = await ran.then(
      () => lazyPages.end(),
      () => lazyPages.end(),
    );
    return { exitCode: await ran, failure };
  } finally {
    signals.close();
  }
}

function run(command: readonly string[], started: Starter): Promise<number> {
  const [program = '', ...args] = command;
  return new Promise((resolve, reject) => {
    const child = started(() => withoutInheritance(() => spawn(program, args, { stdio: 'inherit' })));
    const forward = (signal: NodeJS.Signals): void => void child.kill(signal);
    const leave = (): void => undefined;
    for (const signal of FORWARDED) process.on(signal, forward);
    for (const signal of FROM_TERMINAL) process.on(signal, leave);
    const settle = (): void => {
      for (const signal of FORWARDED) process.removeListener(signal, forward);
      for (const signal of FROM_TERMINAL) process.removeListener(signal, leave);
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
