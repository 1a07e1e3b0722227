import { readFileSync } from 'node:fs';

/**
 * Whether the kernel keeps a process from running, as far as this process may see: by SIGSTOP or a debugger, or because
 * its control group is frozen.
 * @param pid of this pid namespace; 0 for one that is not visible
 */
export function isStopped(pid: number): boolean {
  if (pid === 0) return false;
  // The name in parentheses may hold anything.
  const state = text(`/proc/${pid}/stat`).replace(/^.*\) /s, '')[0];
  return state === 'T' || state === 't' || isFrozen(text(`/proc/${pid}/cgroup`));
}

/** @param groups as in /proc/PID/cgroup (cgroups(7)) */
function isFrozen(groups: string): boolean {
  return groups.split('\n').some((line) => {
    const [, controllers, path] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (path === undefined) return false;
    if (controllers === '') {
      // The second is where both versions of control groups are used.
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
