import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { systemErrorName } from '../../base/errors.ts';

/** The flag of a mapping whose missing pages another process has to bring (proc(5), userfaultfd(2)). */
const MISSING_PAGES_FLAG = /^VmFlags:.* um\b/m;

/** What /proc answers for a process that has ended, or a descriptor that was closed. */
const GONE: readonly (string | undefined)[] = ['ENOENT', 'ESRCH'];
const REFUSED: readonly (string | undefined)[] = ['EACCES', 'EPERM'];

/**
 * Returns the descendants of a process that have memory which another process still has to bring, and those whose
 * memory may not be looked at. The kernel takes the flag from their mappings when that other process lets go of them.
 * It can miss one whose parent ends meanwhile.
 * @throws Error when /proc cannot be read for another reason (EMFILE, ENOMEM), so that any of them may wait
 */
export function processesWaitingForMemory(ancestor: number): number[] {
  return descendantsOf(ancestor).filter(isWaiting);
}

/** Returns the descendants of a process on whose command line these words follow each other. */
export function descendantsStartedWith(ancestor: number, words: readonly string[]): number[] {
  const wanted = `\0${words.join('\0')}\0`;
  return descendantsOf(ancestor).filter((pid) => textIfThere(`/proc/${pid}/cmdline`)?.includes(wanted));
}

/** Tells whether a process has memory to bring to others. @throws Error when /proc cannot be read */
export function holdsUserfaultfd(pid: number): boolean {
  const descriptors = ifThere(() => readdirSync(`/proc/${pid}/fd`)) ?? [];
  return descriptors.some((fd) => ifThere(() => readlinkSync(`/proc/${pid}/fd/${fd}`)) === 'anon_inode:[userfaultfd]');
}

/** Reads a file of /proc; undefined when its process has ended. @throws Error on everything else */
export function textIfThere(path: string): string | undefined {
  return ifThere(() => readFileSync(path, 'utf8'));
}

/** Kills a process. Returns whether it was still there. */
export function kill(pid: number): boolean {
  try {
    return process.kill(pid, 'SIGKILL');
  } catch {
    return false;
  }
}

function isWaiting(pid: number): boolean {
  try {
    return MISSING_PAGES_FLAG.test(textIfThere(`/proc/${pid}/smaps`) ?? '');
  } catch (error) {
    if (REFUSED.includes(systemErrorName(error))) return true;
    throw error;
  }
}

function descendantsOf(pid: number): number[] {
  return (ifThere(() => readdirSync(`/proc/${pid}/task`)) ?? [])
    .flatMap((thread) => textIfThere(`/proc/${pid}/task/${thread}/children`)?.split(' ') ?? [])
    .filter((word) => word !== '')
    .map(Number)
    .flatMap((child) => [child, ...descendantsOf(child)]);
}

function ifThere<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (GONE.includes(systemErrorName(error))) return undefined;
    throw error;
  }
}
