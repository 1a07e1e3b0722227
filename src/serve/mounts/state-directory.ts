import { accessSync, constants as fsConstants, lstatSync, mkdirSync } from 'node:fs';
import { basename, dirname, isAbsolute, join } from 'node:path';
import { CkptfsError, ioError, systemErrorName } from '../../base/errors.ts';
import { Directory } from '../../base/linux/directory.ts';
import { namesIn } from '../../base/listing.ts';
import { isServedByProcess, mountIdOf, readMountsSync } from '../../fuse/mount/mountinfo.ts';

/** Where the daemons of this host can be found: a directory per user, in it a socket per mount (control.ts). */

const NAME = 'ckptfs';
const RUN = '/run';
const USERS = '/run/user';
const SHARED = '/tmp';

/**
 * This user's own state directory, made when it is not there.
 * @throws CkptfsError `io` when there is none that only this user can get at
 */
export function ownStateDirectory(): string {
  const [first] = ownCandidates();
  if (first === undefined) throw new CkptfsError('internal', 'no place for a state directory');
  try {
    mkdirSync(first, { mode: 0o700 });
  } catch (cause) {
    if (systemErrorName(cause) !== 'EEXIST') throw ioError('create', first, cause);
  }
  if (!isPrivate(first, userId())) {
    throw new CkptfsError('io', `${first} is not a directory that only this user can write to`, { path: first });
  }
  return first;
}

export interface StateDirectory {
  /** Closed by {@link withStateDirectories}. */
  readonly directory: Directory;
  /** User id. Nobody else (but root) can have put anything there. */
  readonly owner: number;
}

/**
 * Gives the state directories that this process may look into: its user's, which come first, and as root everybody's. Only
 * such as their owner alone writes to, held open, and none that some process serves: it might never answer.
 */
export async function withStateDirectories<T>(work: (found: readonly StateDirectory[]) => Promise<T>): Promise<T> {
  const found: StateDirectory[] = [];
  try {
    for (const { base, name, owner } of candidates()) {
      const directory = openPrivate(base, name, owner);
      if (directory !== undefined) found.push({ directory, owner });
    }
    return await work(found);
  } finally {
    for (const { directory } of found) directory.close();
  }
}

interface Candidate {
  readonly base: string;
  readonly name: string;
  readonly owner: number;
}

function candidates(): Candidate[] {
  const own = userId();
  const found = ownCandidates().map((path) => ({ base: dirname(path), name: basename(path), owner: own }));
  if (own !== 0) return found;
  for (const name of namesIn(USERS)) {
    if (/^[1-9][0-9]*$/.test(name)) found.push({ base: join(USERS, name), name: NAME, owner: Number(name) });
  }
  for (const name of namesIn(SHARED)) {
    const user = /^ckptfs-(0|[1-9][0-9]*)$/.exec(name)?.[1];
    if (user !== undefined) found.push({ base: SHARED, name, owner: Number(user) });
  }
  return found;
}

/**
 * Opens a state directory; undefined when it is not there or not private. It may belong to somebody who mounts something on
 * it meanwhile: opening with O_PATH asks no file system, so what was opened is looked at before anything else is.
 */
function openPrivate(base: string, name: string, owner: number): Directory | undefined {
  let above: Directory | undefined;
  try {
    above = Directory.open(base);
    if (dirname(base) === USERS && mayNeverAnswer(above)) return undefined;
    // One's own may be a mount of its own, as in a container.
    const directory = above.openDirectory(name, { sameMount: owner !== userId() });
    const { uid, mode } = directory.stat();
    if (uid === BigInt(owner) && (mode & 0o077n) === 0n) return directory;
    directory.close();
  } catch {
    // It is not there, or in the way of it is something else.
  } finally {
    above?.close();
  }
  return undefined;
}

/** By the mount tables of now, not of before it was opened; one that was detached since is in none. */
function mayNeverAnswer(directory: Directory): boolean {
  const id = mountIdOf(directory.fd);
  const mount = readMountsSync().find((one) => one.id === id);
  return mount === undefined || isServedByProcess(mount);
}

/** The best first; the others are looked into as well, since a login session has more of them than a cron job. */
function ownCandidates(environment: NodeJS.ProcessEnv = process.env): string[] {
  const user = userId();
  if (user === 0) return [join(isWritable(RUN) ? RUN : SHARED, NAME)];
  const runtime = environment['XDG_RUNTIME_DIR'];
  const places = [runtime !== undefined && isAbsolute(runtime) ? runtime : undefined, join(USERS, String(user))];
  const usable = places.filter((path) => path !== undefined && isPrivate(path, user)) as string[];
  return [...new Set([...usable.map((path) => join(path, NAME)), join(SHARED, `${NAME}-${user}`)])];
}

/** Whether it is a real directory of that user's which nobody else can read or write. */
function isPrivate(path: string, user: number): boolean {
  try {
    const found = lstatSync(path);
    return found.isDirectory() && found.uid === user && (found.mode & 0o077) === 0;
  } catch {
    return false;
  }
}

function isWritable(path: string): boolean {
  try {
    accessSync(path, fsConstants.W_OK);
    return true;
  } catch {
    return false;
  }
}

function userId(): number {
  return process.geteuid?.() ?? 0;
}
