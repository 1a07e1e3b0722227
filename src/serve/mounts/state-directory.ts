import { accessSync, constants as fsConstants, lstatSync, mkdirSync } from 'node:fs';
import { basename, dirname, isAbsolute, join } from 'node:path';
import { CkptfsError, ioError, systemErrorName } from '../../base/errors.ts';
import { Directory } from '../../base/linux/directory.ts';
import { namesIn } from '../../base/listing.ts';
import { isServedByProcess, mountIdOf, readMountsSync } from '../../fuse/mount/mountinfo.ts';

/** Finds the state directories: each user has one, which holds a socket for each mount of that user's daemons. */

const NAME = 'ckptfs';
const RUN = '/run';
const USERS = '/run/user';
const SHARED = '/tmp';

/**
 * Returns the path of this user's state directory, and creates it if it does not exist.
 * @throws CkptfsError `io` when it is not one that only this user can access
 */
export function ownStateDirectory(): string {
  const first = stateDirectoryPath();
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

/** Returns the path of this user's state directory, which may not exist yet. */
export function stateDirectoryPath(): string {
  const [first] = ownCandidates();
  if (first === undefined) throw new CkptfsError('internal', 'no place for a state directory');
  return first;
}

export interface StateDirectory {
  /** {@link withStateDirectories} closes it. */
  readonly directory: Directory;
  /** The user id of its owner. Besides root no other user can have put anything there. */
  readonly owner: number;
}

/**
 * Runs `work` with the state directories that this process may look into, held open: those of its user first and, for
 * root, those of all users. Leaves out directories that other users than their owner can write to, and those that a
 * process serves, which might never answer.
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
 * Opens a state directory; returns undefined when it does not exist or is not private. Its owner may mount something on
 * it meanwhile. Opening with O_PATH asks no file system, so what was opened is checked before anything else happens.
 */
function openPrivate(base: string, name: string, owner: number): Directory | undefined {
  let above: Directory | undefined;
  try {
    above = Directory.open(base);
    if (dirname(base) === USERS && mayNeverAnswer(above)) return undefined;
    // This user's own directory may be a mount, as in a container.
    const directory = above.openDirectory(name, { sameMount: owner !== userId() });
    const { uid, mode } = directory.stat();
    if (uid === BigInt(owner) && (mode & 0o077n) === 0n) return directory;
    directory.close();
  } catch {
    // It does not exist, or something else is in its place.
  } finally {
    above?.close();
  }
  return undefined;
}

/** Looks at the mount table after the directory was opened. A mount that was detached since is not in it. */
function mayNeverAnswer(directory: Directory): boolean {
  const id = mountIdOf(directory.fd);
  const mount = readMountsSync().find((one) => one.id === id);
  return mount === undefined || isServedByProcess(mount);
}

/** Returns the best first. Others may hold sockets too, because a login session has more of them than a cron job. */
function ownCandidates(environment: NodeJS.ProcessEnv = process.env): string[] {
  const user = userId();
  if (user === 0) return [join(isWritable(RUN) ? RUN : SHARED, NAME)];
  const runtime = environment['XDG_RUNTIME_DIR'];
  const places = [runtime !== undefined && isAbsolute(runtime) ? runtime : undefined, join(USERS, String(user))];
  const usable = places.filter((path) => path !== undefined && isPrivate(path, user)) as string[];
  return [...new Set([...usable.map((path) => join(path, NAME)), join(SHARED, `${NAME}-${user}`)])];
}

/** Returns whether it is a real directory that no other user can access. */
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
