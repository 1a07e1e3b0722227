import { spawn } from 'node:child_process';
import { readlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { absolutePath } from '../base/current-directory.ts';
import { Deadline } from '../base/deadline.ts';
import { withoutInheritance } from '../base/descriptors.ts';
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

async function checkAnswer(mount: MountInfo, deadline: Deadline): Promise<void> {
  if ((await ask(mount, deadline)) !== 'nothing') return;
  const { mountPoint: path, source } = mount;
  throw new CkptfsError('no-answer', `the mount of ${source} on ${path} does not answer`, {
    path,
    advice: 'The process that serves it is stopped, frozen or very busy: let it go on, or take the mount away.',
  });
}

/**
 * What a mount says when it is asked for something: `ended` by the kernel's word, when nobody serves it any more; else that
 * it `answers`, be it with another error, or nothing until the deadline.
 */
export type MountAnswer = 'answers' | 'ended' | 'nothing';

/**
 * Asks a mount, by a child, for a name that the kernel cannot know of: the answer to anything else may be in its caches.
 * @param asOwner as the user who mounted it, whom alone the kernel may let in; needs root where that is somebody else
 */
export async function ask(
  { mountPoint, options }: Pick<MountInfo, 'mountPoint' | 'options'>,
  deadline: Deadline,
  { asOwner = false }: { readonly asOwner?: boolean } = {},
): Promise<MountAnswer> {
  const name = join(mountPoint, `.ckptfs-${process.pid}-${process.hrtime.bigint()}`);
  const [uid, gid] = [idIn(options, 'user_id='), idIn(options, 'group_id=')];
  const isSwitched = asOwner && uid !== process.geteuid?.();
  // The shell does it by itself, which starts faster than anything else.
  const child = withoutInheritance(() =>
    spawn('/bin/sh', ['-c', ': < "$1"', 'sh', name], {
      cwd: '/',
      env: { LC_ALL: 'C' },
      stdio: ['ignore', 'ignore', 'pipe'],
      detached: true,
      ...(isSwitched && uid !== undefined && gid !== undefined && { uid, gid }),
    }),
  );
  let complaint = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaint += text;
  });
  const answered = new Promise<MountAnswer>((done, failed) => {
    // ENOTCONN, in the words of any C library.
    child.once('close', () => done(/not connected/i.test(complaint) ? 'ended' : 'answers'));
    child.once('error', failed);
  });
  const answer = await deadline.wait(answered);
  if (answer !== undefined) return answer;
  child.kill('SIGKILL');
  child.stderr.destroy();
  child.unref();
  return 'nothing';
}

function idIn(options: readonly string[], name: string): number | undefined {
  const found = options.find((option) => option.startsWith(name));
  return found === undefined ? undefined : Number(found.slice(name.length));
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
