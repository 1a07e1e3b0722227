import { MS_NODEV, MS_NOEXEC, MS_NOSUID, mount } from '../../src/base/linux/mounts.ts';
import { readMountsSync, topmostAt } from '../../src/fuse/mount/mountinfo.ts';

const MS_REMOUNT = 32;

/**
 * Makes the kernel forget names, attributes and nodes of a writable mount that no process uses, as a remount does.
 * Writing to drop_caches does it on the whole machine, where other tests count what the kernel asks for.
 */
export function forgetUnused(mountPoint: string): void {
  const options = new Set(topmostAt(readMountsSync(), mountPoint)?.options);
  const flags = [['nosuid', MS_NOSUID] as const, ['nodev', MS_NODEV] as const, ['noexec', MS_NOEXEC] as const];
  const kept = flags.reduce((sum, [name, flag]) => (options.has(name) ? sum | flag : sum), 0);
  mount('none', mountPoint, 'none', MS_REMOUNT | kept, '');
}
