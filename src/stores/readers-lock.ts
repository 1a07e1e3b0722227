import { statfsSync } from 'node:fs';
import { CkptfsError, ioError, systemErrorName } from '../base/errors.ts';
import { closeDescriptor } from '../base/linux/descriptors.ts';
import type { Directory } from '../base/linux/directory.ts';
import { tryLock } from '../base/linux/files.ts';
import { type LockHolders, lockHolders } from './lock-holders.ts';
import type { StoreLock } from './store.ts';

/**
 * The lock that keeps the readers of an image out: an exclusive flock(2) on its directory. Readers hold a shared one,
 * which keeps writers out.
 */
export interface ReadersKeptOut extends StoreLock {
  /** Says in one clause which readers this lock does not keep out, and why; undefined when it keeps out all. */
  readonly unseen: string | undefined;
}

/** The errors of flock(2) on a file system that has no such locks. */
const UNSUPPORTED: ReadonlySet<string> = new Set(['ENOLCK', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EINVAL', 'EBADF']);

/** The types in statfs(2) of NFS, SMB in three forms, and 9P. Other hosts do not see locks on their directories. */
const NETWORK_FILE_SYSTEMS: ReadonlySet<number> = new Set([0x6969, 0x517b, 0xff534d42, 0xfe534d42, 0x01021997]);

const MAX_NAMED = 5;

/**
 * Keeps writers out as long as the lock is held. If the storage has no such locks, or the directory cannot be opened
 * for reading, the lock keeps no process out.
 * @throws CkptfsError `locked` while a process writes the image
 */
export function lockForReading(directory: Directory): StoreLock {
  let fd: number;
  try {
    fd = directory.openReadable();
  } catch {
    return { release: () => undefined };
  }
  return held(fd, directory, 'shared') ?? { release: () => undefined };
}

/** Keeps readers out as long as the lock is held. @throws CkptfsError `locked`, which names the readers, `io` */
export function keepReadersOut(directory: Directory): ReadersKeptOut {
  let fd: number;
  try {
    fd = directory.openReadable();
  } catch (cause) {
    throw ioError('open', directory.path(), cause);
  }
  const lock = held(fd, directory, 'exclusive');
  if (lock === undefined) {
    return { release: () => undefined, unseen: 'readers are not seen: its file system has no locks for directories' };
  }
  const unseen = isOnNetwork(directory)
    ? 'readers on other hosts are not seen: it is on a network file system'
    : undefined;
  return { ...lock, unseen };
}

/** Locks a directory. Closes the descriptor and returns undefined if the storage has no such locks. */
function held(fd: number, directory: Directory, kind: 'exclusive' | 'shared'): StoreLock | undefined {
  try {
    if (tryLock(fd, kind)) return { release: () => closeDescriptor(fd) };
    throw locked(directory.path(), kind, lockHolders(fd));
  } catch (cause) {
    closeDescriptor(fd);
    if (UNSUPPORTED.has(systemErrorName(cause) ?? '')) return undefined;
    throw ioError('lock', directory.path(), cause);
  }
}

function isOnNetwork({ fd }: Directory): boolean {
  try {
    return NETWORK_FILE_SYSTEMS.has(statfsSync(`/proc/self/fd/${fd}`).type);
  } catch {
    return false;
  }
}

/** @param wanted the lock that could not be had: only an exclusive one is in the way of a shared one */
function locked(path: string, wanted: 'exclusive' | 'shared', { shared, exclusive }: LockHolders): CkptfsError {
  const isWritten = wanted === 'shared' || exclusive.length > 0;
  const who = isWritten ? `written by ${listed(exclusive)}` : `read by ${listed(shared)}`;
  return new CkptfsError('locked', `${path} is being ${who}`, {
    path,
    data: { holder: isWritten ? 'writer' : 'readers', wanted: wanted === 'shared' ? 'reading' : 'writing' },
  });
}

function listed(pids: readonly number[]): string {
  if (pids.length === 0) return 'another process';
  const named = pids.slice(0, MAX_NAMED).join(', ');
  const more = pids.length > MAX_NAMED ? ` and ${pids.length - MAX_NAMED} more` : '';
  return `${pids.length === 1 ? 'process' : 'processes'} ${named}${more}`;
}
