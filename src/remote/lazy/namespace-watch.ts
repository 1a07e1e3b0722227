import { readFileSync, readlinkSync } from 'node:fs';
import { systemErrorName } from '../../base/errors.ts';
import { mountNamespaceMayEnd } from '../../base/linux/namespaces.ts';
import { namesIn } from '../../base/listing.ts';

const LOOK_MILLISECONDS = 5000;
/** What the command line of a fetcher has, of whichever version. */
const PROGRAM = /\/fetcher\.js\0/;

/**
 * Watches whether another process is in the mount namespace of this one, unless that never ends. The namespace and its
 * mounts live as long as a process is in it: this one must not be the last. The daemon, which is apart from it, hears
 * then that its mount is gone. A process whose namespace may not be read counts as one that is in it. A daemon of an
 * ordinary user is in it as well, and leaves when its mount is gone: nothing has to be watched for that.
 * @param onAlone is called once
 * @returns ends the watch
 */
export function watchNamespace(onAlone: () => void): () => void {
  if (process.geteuid?.() !== 0 || !mayEnd()) return () => undefined;
  const timer = setInterval(() => {
    if (!isAlone()) return;
    clearInterval(timer);
    onAlone();
  }, LOOK_MILLISECONDS);
  return () => clearInterval(timer);
}

/** Returns false also without /proc, where nothing can be watched. */
function mayEnd(): boolean {
  try {
    return mountNamespaceMayEnd();
  } catch {
    return false;
  }
}

/** Tells whether no process but fetchers is in the mount namespace of this one. */
export function isAlone(proc = '/proc'): boolean {
  const own = namespaceOf(proc, 'self');
  return namesIn(proc)
    .filter((name) => /^\d+$/.test(name))
    .every((pid) => ![own, 'hidden'].includes(namespaceOf(proc, pid)) || isFetcher(proc, pid));
}

function namespaceOf(proc: string, pid: string): string | undefined {
  try {
    return readlinkSync(`${proc}/${pid}/ns/mnt`);
  } catch (error) {
    // A process that has ended is in none.
    return ['ENOENT', 'ESRCH'].includes(systemErrorName(error) ?? '') ? undefined : 'hidden';
  }
}

function isFetcher(proc: string, pid: string): boolean {
  try {
    return PROGRAM.test(readFileSync(`${proc}/${pid}/cmdline`, 'latin1'));
  } catch {
    return false;
  }
}
