import { type ChildProcess, type ChildProcessByStdio, spawn } from 'node:child_process';
import { mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { Deadline } from '../../base/deadline.ts';
import { CkptfsError, fromPlainError, ioError, type PlainError, systemErrorName } from '../../base/errors.ts';
import { withoutInheritance } from '../../base/linux/descriptors.ts';
import { programUrl } from '../../base/program-url.ts';
import { unmount } from '../../fuse/mount/mount-point.ts';
import type { MountTrial } from '../../fuse/mount/mount-trial.ts';
import { daemonEnvironment } from './daemon-program.ts';

const program = fileURLToPath(programUrl('mount-trial'));

/** A loaded machine needs seconds to start a process; the kernel asks for FUSE_INIT at once. */
const TRIAL_MILLISECONDS = 15_000;

/**
 * Mounts an empty file system for a moment, as an image would be mounted, and waits for the kernel's first request.
 * Root does that in a mount namespace of its own if possible, an ordinary user with the helper. Another process does
 * it, and is killed when it takes too long.
 * @param signal ends the trial at once, with `interrupted`
 * @throws CkptfsError `missing-feature`, `mount-failed`, `interrupted`, `io`; `no-answer` when it takes too long
 */
export async function tryMounting(signal: AbortSignal): Promise<MountTrial> {
  const directory = temporaryDirectory();
  try {
    return await runTrial(directory, signal);
  } catch (error) {
    // A mount of a killed trial would stay where it is not in a namespace of its own.
    await unmount(directory, { lazy: true }).catch(() => undefined);
    throw error;
  } finally {
    rmdirSync(directory);
  }
}

function temporaryDirectory(): string {
  try {
    return mkdtempSync(join(tmpdir(), 'ckptfs-doctor-'));
  } catch (cause) {
    throw ioError('make a directory in', tmpdir(), cause);
  }
}

async function runTrial(directory: string, signal: AbortSignal): Promise<MountTrial> {
  const child = withoutInheritance(() =>
    spawn(process.execPath, [program, directory], {
      cwd: '/',
      // It gets a process group of its own, so that the helper can be killed with it.
      detached: true,
      env: daemonEnvironment(),
      stdio: ['ignore', 'pipe', 'pipe'],
    }),
  );
  const kill = (): void => killGroup(child);
  signal.addEventListener('abort', kill);
  try {
    if (signal.aborted) kill();
    const ended = await Deadline.after(TRIAL_MILLISECONDS).wait(endOf(child));
    if (signal.aborted) throw new CkptfsError('interrupted', 'the trial of a mount was interrupted');
    if (ended !== undefined) return reportIn(ended);
    const seconds = TRIAL_MILLISECONDS / 1000;
    throw new CkptfsError('no-answer', `a trial mount did not serve within ${seconds} seconds`, {
      data: { reason: 'trial' },
    });
  } finally {
    signal.removeEventListener('abort', kill);
    kill();
    child.stdout.destroy();
    child.stderr.destroy();
  }
}

interface End {
  readonly output: string;
  readonly errorText: string;
}

function endOf(child: ChildProcessByStdio<null, Readable, Readable>): Promise<End> {
  return new Promise((resolve, reject) => {
    let output = '';
    let errorText = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      errorText += text;
    });
    child.once('error', ({ message }) =>
      reject(new CkptfsError('internal', `cannot start the trial of a mount: ${message}`)),
    );
    child.once('close', () => resolve({ output, errorText }));
  });
}

/** @throws the error of the trial */
function reportIn({ output, errorText }: End): MountTrial {
  if (output === '') throw new CkptfsError('internal', `the trial of a mount failed: ${errorText.trim()}`);
  const report = JSON.parse(output) as MountTrial | PlainError;
  if ('protocol' in report) return report;
  throw fromPlainError(report);
}

/** Kills a process group, unless the process that leads it has ended. */
function killGroup({ pid, exitCode, signalCode }: ChildProcess): void {
  if (pid === undefined || exitCode !== null || signalCode !== null) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch (error) {
    if (systemErrorName(error) !== 'ESRCH') throw error;
  }
}
