import { spawn } from 'node:child_process';
import { readlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { absolutePath } from '../base/current-directory.ts';
import { Deadline } from '../base/deadline.ts';
import { CkptfsError, systemErrorName } from '../base/errors.ts';
import { isServedByProcess, type MountInfo, readMounts, topmostAt } from './mountinfo.ts';

/**
 * Finds out where paths lead without waiting for a file system that may never answer: one that a process serves, which may
 * be stopped. Mount tables come first; what has to be asked is asked by a child process, which is left behind when it
 * waits for too long. A thread of our own that waits there could not be ended, not even by a signal that it handles.
 */

/** As the kernel follows (MAXSYMLINKS). */
const MAX_LINKS = 40;
/** For all that is asked on the way of one path. */
const ANSWER_MILLISECONDS = 10_000;

/** Where a path leads. */
export interface Place {
  /** Absolute. Symbolic links are followed, but for those behind {@link behind}. */
  readonly path: string;
  /** What is mounted at the end of it. It was not looked at. */
  readonly mount: MountInfo | undefined;
  /** The first mount on the way at which the search was to stop, when there is one. Nothing behind it was looked at. */
  readonly behind: MountInfo | undefined;
}

/**
 * Follows the symbolic links of a path. A mount point is never looked at, because it is no link, and nothing behind one at
 * which `stopAt` is true. What does not exist is taken as it stands.
 */
export function locate(
  path: string,
  mounts: readonly MountInfo[],
  stopAt: (mount: MountInfo) => boolean = () => false,
): Place {
  let at = '/';
  let rest = absolutePath(path).split('/').filter(isName);
  for (let links = 0; rest.length > 0; ) {
    const [name = '', ...next] = rest;
    rest = next;
    if (name === '..') {
      at = dirname(at);
      continue;
    }
    const here = join(at, name);
    const mount = topmostAt(mounts, here);
    if (mount !== undefined && rest.length > 0 && stopAt(mount)) {
      return { path: join(here, ...rest), mount: undefined, behind: mount };
    }
    const target = mount === undefined && links < MAX_LINKS ? linkTarget(here) : undefined;
    if (target === undefined) {
      at = here;
      continue;
    }
    links++;
    if (target.startsWith('/')) at = '/';
    rest = [...target.split('/').filter(isName), ...rest];
  }
  return { path: at, mount: topmostAt(mounts, at), behind: undefined };
}

/**
 * Follows a path to its end, which is not looked at when something is mounted there.
 * @throws CkptfsError `no-answer` when a mount on the way does not answer
 */
export async function reach(path: string): Promise<Place> {
  const deadline = Deadline.after(ANSWER_MILLISECONDS);
  const mounts = await readMounts();
  const answering = new Set<number>();
  for (;;) {
    const place = locate(path, mounts, (mount) => isServedByProcess(mount) && !answering.has(mount.id));
    if (place.behind === undefined) return place;
    await checkAnswer(place.behind, deadline);
    answering.add(place.behind.id);
  }
}

/** Follows a path to its end and looks whether what is mounted there answers. @throws CkptfsError `no-answer` */
export async function reachWhole(path: string): Promise<string> {
  const place = await reach(path);
  if (place.mount !== undefined && isServedByProcess(place.mount)) {
    await checkAnswer(place.mount, Deadline.after(ANSWER_MILLISECONDS));
  }
  return place.path;
}

async function checkAnswer({ mountPoint: path, source }: MountInfo, deadline: Deadline): Promise<void> {
  if (await answers(path, deadline)) return;
  throw new CkptfsError('no-answer', `the mount of ${source} on ${path} does not answer`, {
    path,
    advice: 'The process that serves it is stopped, frozen or very busy: let it go on, or take the mount away.',
  });
}

/**
 * Whether a mount answers, be it with an error. Asks by a child for a name that the kernel cannot know of, as the answer to
 * anything else may be in its caches.
 */
async function answers(mountPoint: string, deadline: Deadline): Promise<boolean> {
  const name = join(mountPoint, `.ckptfs-${process.pid}-${process.hrtime.bigint()}`);
  // The shell does it by itself, which starts faster than anything else.
  const args = ['-c', '[ -e "$1" ]', 'sh', name];
  // Of the environment it needs nothing, and what is there may be a secret, or a service manager's socket.
  const child = spawn('/bin/sh', args, { cwd: '/', env: {}, stdio: 'ignore', detached: true });
  const answered = new Promise<true>((done, failed) => {
    child.once('exit', () => done(true));
    child.once('error', failed);
  });
  const isAnswered = (await deadline.wait(answered)) ?? false;
  if (!isAnswered) {
    child.kill('SIGKILL');
    child.unref();
  }
  return isAnswered;
}

function isName(component: string): boolean {
  return component !== '' && component !== '.';
}

/** The target of a symbolic link; undefined for anything else. */
function linkTarget(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch (error) {
    // Links that lead nowhere and names that are not there are for the caller to find out.
    if (systemErrorName(error) === undefined) throw error;
    return undefined;
  }
}
