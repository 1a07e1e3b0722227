import { readFileSync } from 'node:fs';

const LOOK_MILLISECONDS = 1000;
/** How long others have to do properly what then has to be done: a runtime runs its own hooks. */
const GRACE_MILLISECONDS = 10_000;

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
    if (start !== undefined && startOf(pid) === start) return;
    clearInterval(look);
    setTimeout(then, GRACE_MILLISECONDS).unref();
  }, LOOK_MILLISECONDS).unref();
}

/** Returns when a process was started, in ticks since the host was; undefined for one that has ended. */
export function startTime(pid: number): string | undefined {
  const text = readStat(pid);
  // See proc_pid_stat(5). The name of the program, in parentheses, may contain any character.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return text === '' || fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19];
}

function readStat(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch {
    return '';
  }
}
