import fs from 'node:fs';
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { CkptfsError, ioError, systemErrorName } from '../base/errors.ts';

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
    fs.mkdirSync(first, { mode: 0o700 });
  } catch (cause) {
    if (systemErrorName(cause) !== 'EEXIST') throw ioError('create', first, cause);
  }
  if (!isPrivate(first, userId())) {
    throw new CkptfsError('io', `${first} is not a directory that only this user can write to`, { path: first });
  }
  return first;
}

export interface StateDirectory {
  readonly path: string;
  /** User id. Nobody else (but root) can have put anything there. */
  readonly owner: number;
}

/** State directories this process may look into: its user's, and as root everybody's. Only such as their owner alone writes to. */
export function readableStateDirectories(): StateDirectory[] {
  const own = userId();
  const found = new Map<string, number>(ownCandidates().map((path) => [path, own]));
  if (own === 0) {
    for (const name of namesIn(USERS)) found.set(join(USERS, name, NAME), Number(name));
    for (const name of namesIn(SHARED)) {
      const user = /^ckptfs-(0|[1-9][0-9]*)$/.exec(name)?.[1];
      if (user !== undefined) found.set(join(SHARED, name), Number(user));
    }
  }
  return [...found].flatMap(([path, owner]) => (isPrivate(path, owner) ? [{ path, owner }] : []));
}

/** Where daemons of this user keep their logs: of root below /var/log, else below XDG_STATE_HOME (XDG base directory specification). */
export function logDirectory(environment: NodeJS.ProcessEnv = process.env): string {
  if (userId() === 0) return join('/var/log', NAME);
  const configured = environment['XDG_STATE_HOME'];
  const base = configured !== undefined && isAbsolute(configured) ? configured : join(homedir(), '.local', 'state');
  return join(base, NAME);
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
    const found = fs.lstatSync(path);
    return found.isDirectory() && found.uid === user && (found.mode & 0o077) === 0;
  } catch {
    return false;
  }
}

function isWritable(path: string): boolean {
  try {
    fs.accessSync(path, fs.constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

function namesIn(path: string): string[] {
  try {
    return fs.readdirSync(path);
  } catch {
    return [];
  }
}

function userId(): number {
  return process.geteuid?.() ?? 0;
}
