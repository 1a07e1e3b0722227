import { fstatSync, readFileSync } from 'node:fs';

/** The processes that hold locks of flock(2) on a file: pids in ascending order, as far as they can be seen. */
export interface LockHolders {
  readonly shared: readonly number[];
  readonly exclusive: readonly number[];
}

/**
 * Finds the processes that hold locks on an open file in the kernel's table, which names a file by the device of its
 * file system and its inode number.
 */
export function lockHolders(fd: number): LockHolders {
  try {
    const file = `${deviceOf(fd)}:${fstatSync(fd, { bigint: true }).ino}`;
    return holdersIn(readFileSync('/proc/locks', 'latin1'), file);
  } catch {
    // Without /proc no process can be named.
    return { shared: [], exclusive: [] };
  }
}

/**
 * Finds the processes that hold locks on a file.
 * @param locks the text of /proc/locks, lines such as `1: FLOCK  ADVISORY  READ 4711 08:01:1234 0 EOF`
 * @param file as these lines name it
 */
export function holdersIn(locks: string, file: string): LockHolders {
  const found = { READ: new Set<number>(), WRITE: new Set<number>() };
  for (const line of locks.split('\n')) {
    const [, kind, , mode, pid, place] = line.trim().split(/\s+/);
    // A pid that this process cannot see is 0, or -1.
    if (kind !== 'FLOCK' || place !== file || !(Number(pid) > 0)) continue;
    if (mode === 'READ' || mode === 'WRITE') found[mode].add(Number(pid));
  }
  const ascending = (pids: Set<number>): number[] => [...pids].sort((a, b) => a - b);
  return { shared: ascending(found.READ), exclusive: ascending(found.WRITE) };
}

/**
 * Returns the device of the file system as in /proc/locks, `MAJOR:MINOR` in hexadecimal. stat(2) gives another one on
 * btrfs, where each subvolume has its own.
 */
function deviceOf(fd: number): string {
  const mount = /^mnt_id:\s*(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1'))?.[1];
  const mounts = readFileSync('/proc/self/mountinfo', 'latin1').split('\n');
  const [, , device = ''] = mounts.find((line) => line.startsWith(`${mount} `))?.split(' ') ?? [];
  return device
    .split(':')
    .map((number) => Number(number).toString(16).padStart(2, '0'))
    .join(':');
}
