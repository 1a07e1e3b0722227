import './missing-directory.ts';
import { EndedBySignal } from './cancellation.ts';
import { isCommandName } from './command-names.ts';
import { startDaemonEarly } from './early-daemon.ts';
import { EXIT_OK, exitCodeOfExecFailure, exitCodeOfInterruption, exitCodeOfSignal } from './exit-codes.ts';
import { createProgram } from './program.ts';
import { debugText, exitCodeOf } from './terminal/messages.ts';
import { BrokenPipe, leaveWriteErrorsToCallers, printError, printFailure, speakJson } from './terminal/output.ts';
import { isCompletion, understandable } from './words/words.ts';

const SIGPIPE = 13;

/** Runs one command line. Returns the exit code; every failure has been reported on standard error. */
async function run(words: readonly string[]): Promise<number> {
  if (ownWords(words).includes('--json')) speakJson();
  try {
    const action = criuAction(words);
    if (action !== undefined) {
      await (await import('./hooks/criu-action.ts')).checkCriuAction(action);
      return EXIT_OK;
    }
    const earlyDaemon = await startDaemonEarly(words);
    let code = 0;
    const setCode = (finished: number): void => {
      code = finished;
    };
    const understood = understandable(words);
    const program = await createProgram(understood, setCode, { earlyDaemon });
    await program.parseAsync(understood);
    return code;
  } catch (error) {
    return report(error, words);
  }
}

/** Returns the action for which criu runs this program: its --action-script is a program without arguments. */
function criuAction(words: readonly string[]): string | undefined {
  return words.length === 0 ? process.env['CRTOOLS_SCRIPT_ACTION'] : undefined;
}

async function report(error: unknown, words: readonly string[]): Promise<number> {
  if (error instanceof BrokenPipe) return exitCodeOfSignal(SIGPIPE);
  // An unfinished command line is usually wrong: a message would appear in the middle of what the user types.
  if (isCompletion(words)) return EXIT_OK;
  const own = ownWords(words);
  const exitCode = exitCodeFor(error, own);
  try {
    await printFailure(error, exitCode);
    if (own.includes('--debug')) await printError(debugText(error));
  } catch {
    // Standard error is closed. The exit code remains.
  }
  // A thread that waits for a file system delays every end of this process but one by the kernel.
  if (error instanceof EndedBySignal && error.isStuck) process.kill(process.pid, error.signal);
  return exitCode;
}

/** Returns the words before `--`: what follows is the command of `exec`, or names that look like options. */
function ownWords(words: readonly string[]): readonly string[] {
  return words.includes('--') ? words.slice(0, words.indexOf('--')) : words;
}

function exitCodeFor(error: unknown, own: readonly string[]): number {
  if (error instanceof EndedBySignal) return error.exitCode;
  if (own.find(isCommandName) === 'exec') return exitCodeOfExecFailure(error);
  return exitCodeOfInterruption(error) ?? exitCodeOf(error);
}

/** Runs the command line `words` and ends the process with its exit code. */
export function main(words: readonly string[]): void {
  leaveWriteErrorsToCallers();
  // If nothing is left to wait for before the exit code is known, the process ends with this one.
  process.exitCode = 1;
  void run(words).then(end);
}

/**
 * Ends the process. Node waits for its threads then, and one that looks up the name of a host ends when a server of
 * names answers, or does not for half a minute: such a process is ended by the kernel.
 */
async function end(code: number): Promise<never> {
  if (!process.getActiveResourcesInfo().includes('GetAddrInfoReqWrap')) process.exit(code);
  const { setNonBlocking } = await import('../base/linux/descriptors.ts');
  const { exitNow } = await import('../base/linux/processes.ts');
  // As Node does, which has made them so for itself.
  for (const standard of [0, 1, 2]) setNonBlocking(standard, false);
  return exitNow(code);
}
