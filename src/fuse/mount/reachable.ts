import { spawn } from 'node:child_process';
import { readlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { absolutePath } from '../../base/current-directory.ts';
import { Deadline } from '../../base/deadline.ts';
import { CkptfsError, systemErrorName } from '../../base/errors.ts';
import { withoutInheritance } from '../../base/linux/descriptors.ts';
import { isServedByProcess, type MountInfo, readMounts, topmostAt } from './mountinfo.ts';

/**
 * Finds where paths lead without waiting for a file system that may never answer: one that a process serves, which may
 * be stopped. Mount tables come first; a child process makes the accesses that are still needed, and is abandoned when
 * it waits too long. A thread of this process that waits there could not be ended, not even by a signal that it
 * handles.
 */

/** The most links of one path that the kernel follows (MAXSYMLINKS). */
const MAX_LINKS = 40;
/** The time for all accesses on the way of one path. */
const ANSWER_MILLISECONDS = 10_000;

/** The place that a path leads to. */
export interface Place {
  /** Absolute. Symbolic links are followed, except below {@link stoppedAt}. */
  readonly path: string;
  /** The mount at the end of the path. It was not accessed. */
  readonly mount: MountInfo | undefined;
  /** The first mount on the way at which the search had to stop, if there is one. Nothing below it was accessed. */
  readonly stoppedAt: MountInfo | undefined;
}

/**
 * Follows the symbolic links of a path. It never accesses a mount point, because that is not a link, and accesses
 * nothing below one for which `stopAt` is true. A component that does not exist is kept as it is.
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
      return { path: join(here, ...rest), mount: undefined, stoppedAt: mount };
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
  return { path: at, mount: topmostAt(mounts, at), stoppedAt: undefined };
}

/**
 * Follows a path to its end, which it does not access when it is a mount point.
 * @throws CkptfsError `no-answer` when a mount on the way does not answer
 */
export async function reach(path: string): Promise<Place> {
  const deadline = Deadline.after(ANSWER_MILLISECONDS);
  const mounts = await readMounts();
  const answering = new Set<number>();
  for (;;) {
    const place = locate(path, mounts, (mount) => isServedByProcess(mount) && !answering.has(mount.id));
    if (place.stoppedAt === undefined) return place;
    await checkAnswer(place.stoppedAt, deadline);
    answering.add(place.stoppedAt.id);
  }
}

/** Follows a path to its end and checks that a mount there answers. @throws CkptfsError `no-answer` */
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
    data: { reason: 'mount' },
  });
}

/**
 * The reaction of a mount to an access: `ended` when the kernel says that no process serves it any more, `answers` for
 * any other answer, an error included, and `nothing` when none came before the deadline.
 */
export type MountAnswer = 'answers' | 'ended' | 'nothing';

/**
 * Asks a mount, by a child process, for a name that is in no cache of the kernel, which could answer itself otherwise.
 * @param asOwner asks as the user who mounted it, the only one whom the kernel may admit; needs root for another user
 */
export async function ask(
  { mountPoint, options }: Pick<MountInfo, 'mountPoint' | 'options'>,
  deadline: Deadline,
  { asOwner = false }: { readonly asOwner?: boolean } = {},
): Promise<MountAnswer> {
  const name = join(mountPoint, `.ckptfs-${process.pid}-${process.hrtime.bigint()}`);
  const [uid, gid] = [idIn(options, 'user_id='), idIn(options, 'group_id=')];
  const isSwitched = asOwner && uid !== process.geteuid?.();
  // Opening is built into the shell, which starts faster than any other program.
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
    // The text of ENOTCONN is the same in all C libraries.
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

/** Returns the target of a symbolic link, or undefined when the path is not one. */
function linkTarget(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch (error) {
    // The caller finds out about links that lead nowhere and about names that do not exist.
    if (systemErrorName(error) === undefined) throw error;
    return undefined;
  }
}
