import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseMountInfo } from '../../fuse/mount/mountinfo.ts';

/**
 * A process in the control group that criu freezes while it dumps (--freeze-cgroup; runc always does so) cannot serve the mount that criu
 * writes to, and both wait for ever.
 */

/** A group that can be frozen, as a process's own cgroup file and the mount table have it. */
interface FreezerGroup {
  /** Within its hierarchy. */
  readonly path: string;
  /** Where that hierarchy is mounted. */
  readonly hierarchy: string;
}

/**
 * Takes this process out of each group that may be frozen, to the root of its hierarchy.
 * @returns a sentence for each group that it is still in
 */
export function leaveFreezers(): string[] {
  for (const { hierarchy } of freezersOf(self())) moveTo(hierarchy);
  return stayingInFreezers();
}

/** A sentence for each group of this process that may be frozen. */
export function stayingInFreezers(): string[] {
  return freezersOf(self()).map(
    ({ path }) =>
      `the daemon is in the control group ${path}: a dump that freezes it (criu --freeze-cgroup, runc checkpoint) hangs; mount from outside of it`,
  );
}

/**
 * The groups below the root of their hierarchies that may be frozen. Version 1 has a hierarchy for that alone. In version 2 each group can be
 * frozen, and everything is in one: those that systemd makes of services and sessions are left alone, as nobody freezes them for a dump, and
 * systemd ends what is in them.
 * @param cgroup /proc/PID/cgroup
 * @param mountinfo /proc/PID/mountinfo
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

/** By the last part of a path; scopes that engines make for containers have names of their own. */
function isSystemdUnit(path: string): boolean {
  return /(\.service|\.slice|\/init\.scope|\/(session|run|app)-[^/]*\.scope)(\/[^/]*)?$/.test(path);
}

function self(): { cgroup: string; mountinfo: string } {
  return { cgroup: text('/proc/self/cgroup'), mountinfo: text('/proc/self/mountinfo') };
}

/** With all its threads. What comes of it shows in where it is afterwards. */
function moveTo(hierarchy: string): void {
  try {
    if (hierarchy !== '') writeFileSync(join(hierarchy, 'cgroup.procs'), '0');
  } catch {
    // An ordinary user may not, and in a container the hierarchy may be read-only.
  }
}

function text(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}
