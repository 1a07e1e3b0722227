import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseMountInfo } from '../../fuse/mount/mountinfo.ts';

/**
 * Keeps the daemon out of control groups that may be frozen. While criu dumps, it freezes a group if told to
 * (--freeze-cgroup; runc always does so). A daemon in that group could not serve the mount that criu writes to, and
 * both would wait for ever.
 */

/** A control group that can be frozen. */
interface FreezerGroup {
  /** Its path within its hierarchy. */
  readonly path: string;
  /** The mount point of its hierarchy; empty if it is not mounted. */
  readonly hierarchy: string;
}

/**
 * Moves this process out of each group that may be frozen, to the root of the hierarchy.
 * @returns a sentence for each group that it is still in
 */
export function leaveFreezers(): string[] {
  for (const { hierarchy } of freezersOf(self())) moveTo(hierarchy);
  return stayingInFreezers();
}

/** Returns a sentence for each group of this process that may be frozen. */
export function stayingInFreezers(): string[] {
  return freezersOf(self()).map(
    ({ path }) =>
      `the daemon is in the control group ${path}: a dump that freezes it (criu --freeze-cgroup, runc checkpoint) ` +
      'hangs; mount from outside of it',
  );
}

/**
 * Returns the groups below the root of their hierarchies that may be frozen. Version 1 has a hierarchy for freezing
 * alone. In version 2 each group can be frozen, and every process is in one. Those that systemd makes for services,
 * mounts and sessions are left out: no tool freezes them for a dump, and systemd has to know what is in them.
 * @param cgroup the contents of /proc/PID/cgroup
 * @param mountinfo the contents of /proc/PID/mountinfo
 */
export function freezersOf({ cgroup, mountinfo }: { cgroup: string; mountinfo: string }): FreezerGroup[] {
  const mounts = parseMountInfo(mountinfo);
  return cgroup.split('\n').flatMap((line) => {
    const [, controllers = '', path = ''] = /^[0-9]+:([^:]*):(\/.+)$/.exec(line) ?? [];
    const isVersion1 = controllers.split(',').includes('freezer');
    if (path === '' || !(isVersion1 || (controllers === '' && !isSystemdUnit(path)))) return [];
    const found = mounts.find(({ fsType, options }) =>
      isVersion1 ? fsType === 'cgroup' && options.includes('freezer') : fsType === 'cgroup2',
    );
    return [{ path, hierarchy: found?.mountPoint ?? '' }];
  });
}

/** Looks at the last part of a path. Scopes that engines make for containers have other names. */
function isSystemdUnit(path: string): boolean {
  return /(\.service|\.mount|\.slice|\/init\.scope|\/(session|run|app)-[^/]*\.scope)(\/[^/]*)?$/.test(path);
}

function self(): { cgroup: string; mountinfo: string } {
  return { cgroup: text('/proc/self/cgroup'), mountinfo: text('/proc/self/mountinfo') };
}

/** Moves this process with all its threads, if it may. */
function moveTo(hierarchy: string): void {
  try {
    if (hierarchy !== '') writeFileSync(join(hierarchy, 'cgroup.procs'), '0');
  } catch {
    // An ordinary user may not; in a container the hierarchy may be read-only. The caller looks where the process is.
  }
}

function text(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}
