import { opendirSync } from 'node:fs';
import type { Directory } from '../../base/linux/directory.ts';

const MAX_SOCKETS = 256;
/** Limits how many entries of a state directory are read: another user may have filled it to slow down its readers. */
const MAX_ENTRIES = 4096;

/** The name of a daemon's socket in its state directory. */
export interface ControlName {
  readonly directory: Directory;
  readonly name: string;
  /** The device number of its mount, `MAJOR:MINOR`. No two live mounts of a host have the same. */
  readonly device: string;
}

/**
 * Returns the name for this process's socket. The pid is part of it because, while a daemon seals, its device number
 * may be that of another mount.
 */
export function controlName(device: string, suffix: '.sock' | '.new'): string {
  return `${device}-${process.pid}${suffix}`;
}

/** Lists the entries of a state directory that are named like a socket, at most {@link MAX_SOCKETS}. */
export function controlNames(directory: Directory): ControlName[] {
  const names = firstNamesIn(`/proc/self/fd/${directory.fd}`).flatMap((name) => {
    const device = /^([0-9]+:[0-9]+)-[0-9]+\.sock$/.exec(name)?.[1];
    return device === undefined ? [] : [{ directory, name, device }];
  });
  return names.slice(0, MAX_SOCKETS);
}

function firstNamesIn(path: string): string[] {
  const names: string[] = [];
  try {
    const listing = opendirSync(path);
    try {
      for (let count = 0; count < MAX_ENTRIES; count++) {
        const entry = listing.readSync();
        if (entry === null) break;
        names.push(entry.name);
      }
    } finally {
      listing.closeSync();
    }
  } catch {
    // The directory is gone or unreadable: what was found so far counts.
  }
  return names;
}
