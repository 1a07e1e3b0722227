import { constants } from 'node:os';
import { CkptfsError, type ErrorCode } from '../base/errors.ts';

/** The exit number of each code. No number ever changes its meaning; a test compares the table with docs/cli.md. */
export const exitCodes: Readonly<Record<ErrorCode, number>> = {
  internal: 1,
  'bad-argument': 2,
  io: 3,
  exists: 4,
  'unsupported-source': 5,
  'source-changed': 6,
  'bad-key-file': 10,
  'no-key': 11,
  'wrong-key': 12,
  untrusted: 13,
  'forbidden-by-policy': 14,
  'key-unavailable': 15,
  'store-unavailable': 16,
  'not-an-image': 20,
  unfinished: 21,
  'unsupported-format': 22,
  damaged: 23,
  'wrong-image': 24,
  'no-such-file': 25,
  unsealed: 26,
  locked: 27,
  'unexpected-files': 28,
  'mount-failed': 30,
  'not-mounted': 31,
  busy: 32,
  'missing-feature': 33,
  'already-mounted': 34,
  'no-answer': 35,
  interrupted: 130,
};

export const EXIT_OK = 0;

/** `encrypt` and `decrypt` are done, but the destination could not keep everything; a warning names what is missing. */
export const EXIT_NOT_ALL_KEPT = 7;

/** `ckptfs exec` itself fails, like `env` and `docker exec`; any other code is that of the command. */
export const EXIT_EXEC_FAILED = 125;

/** Returns the exit code that shells report for a process ended by a signal. @param signal number, 1 to 64 */
export function exitCodeOfSignal(signal: number): number {
  return 128 + signal;
}

/** Returns the exit code of an error by the signal that ended the work, if one did. */
export function exitCodeOfInterruption(error: unknown): number | undefined {
  const signal = error instanceof CkptfsError && error.code === 'interrupted' ? error.data?.signal : undefined;
  return signal && exitCodeOfSignal(constants.signals[signal]);
}

/** Returns the exit code of an `exec` that fails itself: by the signal that ended it, if one did. */
export function exitCodeOfExecFailure(error: unknown): number {
  return exitCodeOfInterruption(error) ?? EXIT_EXEC_FAILED;
}
