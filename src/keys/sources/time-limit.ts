import { CkptfsError } from '../../base/errors.ts';

const DEFAULT_SECONDS = 30;
const MAX_SECONDS = 3600;

/** Checks how long a command or a server may take. @throws CkptfsError `bad-argument` */
export function checkedSeconds(seconds: number = DEFAULT_SECONDS): number {
  if (!(seconds > 0 && seconds <= MAX_SECONDS))
    throw new CkptfsError(
      'bad-argument',
      `the time for the source of a key is more than 0, at most ${MAX_SECONDS} seconds`,
    );
  return seconds;
}

/** Writes a number of seconds as a message has it. */
export function inSeconds(seconds: number): string {
  return seconds === 1 ? '1 second' : `${seconds} seconds`;
}
