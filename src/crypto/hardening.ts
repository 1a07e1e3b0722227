import { forbidCoreFiles, makeUndumpable } from '../base/linux/processes.ts';

/**
 * Keeps this process from being dumped into a core file, and from being traced by other processes of the same user. It
 * does not apply to programs that this process runs. A core handler that the kernel pipes cores to ignores RLIMIT_CORE
 * (core(5)), but not this.
 * @returns whether the kernel agreed
 */
export function forbidDumps(): boolean {
  return makeUndumpable();
}

/**
 * Keeps the memory of this process from other processes of the same user and out of core files, for as long as it
 * lives. As a side effect its files under /proc/self belong to root.
 * @returns what could not be done, as sentences; empty when everything could
 */
export function hardenProcess(): string[] {
  const failures: string[] = [];
  if (!forbidDumps()) {
    failures.push('other processes of this user can read its memory: PR_SET_DUMPABLE was refused');
  }
  if (!forbidCoreFiles()) failures.push('core files cannot be turned off: RLIMIT_CORE was refused');
  return failures;
}
