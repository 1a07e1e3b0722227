import { readFileSync } from 'node:fs';

/**
 * Returns whether the kernel keeps a process from running, as far as this process may see: it got SIGSTOP, a debugger
 * holds it, or its control group is frozen.
 * @param pid in this pid namespace; 0 for a process that is not visible there
 */
export function isStopped(pid: number): boolean {
  if (pid === 0) return false;
  // The name of the program, in parentheses, may contain any character.
  const state = text(`/proc/${pid}/stat`).replace(/^.*\) /s, '')[0];
  return state === 'T' || state === 't' || isFrozen(text(`/proc/${pid}/cgroup`));
}

/** @param groups the contents of /proc/PID/cgroup (cgroups(7)) */
function isFrozen(groups: string): boolean {
  return groups.split('\n').some((line) => {
    const [, controllers, path] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (path === undefined) return false;
    if (controllers === '') {
      // The second path is used where both versions of control groups are mounted.
      const places = ['/sys/fs/cgroup', '/sys/fs/cgroup/unified'];
      return places.some((place) => /^frozen 1$/m.test(text(`${place}${path}/cgroup.events`)));
    }
    return controllers === 'freezer' && text(`/sys/fs/cgroup/freezer${path}/freezer.state`).startsWith('FROZEN');
  });
}

function text(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
