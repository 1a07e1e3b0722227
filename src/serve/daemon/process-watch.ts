import { readFileSync } from 'node:fs';
import { systemErrorName } from '../../base/errors.ts';

const LOOK_MILLISECONDS = 1000;
/** How long others have to do properly what then has to be done: a runtime runs its own hooks. */
const GRACE_MILLISECONDS = 10_000;
/** The start of a process that exists and cannot be looked at, as with the option hidepid of /proc. */
const UNKNOWN = 'unknown';

/**
 * Calls a function some time after a process has ended. It does not keep this process from ending.
 * @param pid in this pid namespace; a later process with the same pid is not taken for it
 */
export function onceEnded(
  pid: number,
  then: () => void,
  startOf: (pid: number) => string | undefined = startTime,
): void {
  const start = startOf(pid);
  const look = setInterval(() => {
    if (start !== undefined && isSame(start, startOf(pid))) return;
    clearInterval(look);
    setTimeout(then, GRACE_MILLISECONDS).unref();
  }, LOOK_MILLISECONDS).unref();
}

/** In doubt it is the same: what it writes after its mount was detached goes to the directory below, in clear. */
function isSame(start: string, now: string | undefined): boolean {
  return now === start || now === UNKNOWN || (start === UNKNOWN && now !== undefined);
}

/**
 * Returns when a process was started, in ticks since the host was, or {@link UNKNOWN}; undefined for one that has
 * ended.
 */
export function startTime(pid: number): string | undefined {
  const text = readStat(pid);
  return text === '' && exists(pid) ? UNKNOWN : startIn(text);
}

/** @param text of /proc/PID/stat, see proc_pid_stat(5) */
export function startIn(text: string): string | undefined {
  // The name of the program, in parentheses, may contain any character.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const [state, threads, start] = [fields[0], fields[17], fields[19]];
  if (state === 'X') return undefined;
  // Its first thread can end before the others.
  return state === 'Z' && threads === '1' ? undefined : start;
}

function readStat(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch {
    return '';
  }
}

function exists(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return systemErrorName(error) === 'EPERM';
  }
}
