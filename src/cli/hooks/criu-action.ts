import { readFileSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { CkptfsError, ioError } from '../../base/errors.ts';
import { type MountInfo, mountIdAt, readMountsSync } from '../../fuse/mount/mountinfo.ts';
import { reachWhole } from '../../fuse/mount/reachable.ts';
import { isOwn } from '../../serve/mounts/own-mounts.ts';

/**
 * What is refused, by the actions of criu(8) that come before it writes or reads an image, and end it when they fail.
 * The last one is that of `criu page-server` and `criu lazy-pages`. `criu pre-dump` runs no script at all.
 */
const FIRST_ACTIONS: ReadonlyMap<string, string> = new Map([
  ['pre-dump', 'the dump'],
  ['pre-restore', 'the restore'],
  ['status-ready', 'the server of pages'],
]);

/** Values of f_type, statfs(2), of file systems in memory: tmpfs, ramfs. */
const IN_MEMORY: readonly number[] = [0x0102_1994, 0x8584_58f6];

/**
 * Does what `ckptfs` does as an `--action-script` of criu: refuses a dump or a restore of which the images are neither
 * on a mount of ckptfs nor in memory. criu has opened the directory by then, so nothing can be mounted there any more.
 * @param action CRTOOLS_SCRIPT_ACTION; all but the first ones are let pass
 * @throws CkptfsError `not-mounted`; `bad-argument` where criu names no directory; `io`, `no-answer`
 */
export async function checkCriuAction(action: string): Promise<void> {
  const what = FIRST_ACTIONS.get(action);
  if (what === undefined) return;
  const directory = process.env['CRTOOLS_IMAGE_DIR'];
  if (!directory) throw new CkptfsError('bad-argument', 'criu names no directory of images (CRTOOLS_IMAGE_DIR)');
  const path = await reachWhole(directory);
  if (isOnOwnMount(directory) || (await isInMemory(directory))) return;
  throw new CkptfsError(
    'not-mounted',
    `${what} is refused: criu's directory of images, ${path}, is neither on a mount of ckptfs nor in memory`,
    { path },
  );
}

/** A mount may be in a namespace of its own, as that of `exec` is, which is then an ancestor of criu. */
function isOnOwnMount(directory: string): boolean {
  const id = mountOf(directory);
  for (let pid = process.pid; pid > 0; pid = parentOf(pid)) {
    const found = mountsOf(pid).find((mount) => mount.id === id);
    if (found !== undefined) return isOwn(found);
  }
  return false;
}

async function isInMemory(directory: string): Promise<boolean> {
  try {
    return IN_MEMORY.includes((await statfs(directory)).type);
  } catch (cause) {
    throw ioError('examine', directory, cause);
  }
}

/** Returns the id of a directory's mount. @throws CkptfsError `io` */
function mountOf(directory: string): number {
  try {
    return mountIdAt(directory);
  } catch (cause) {
    throw ioError('open', directory, cause);
  }
}

function mountsOf(pid: number): MountInfo[] {
  try {
    return readMountsSync(pid);
  } catch {
    // It has ended, or its mounts are not for this user to see.
    return [];
  }
}

/** Returns 0 where there is no parent, or none that is visible. */
function parentOf(pid: number): number {
  try {
    return Number(/^PPid:\s*(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? 0);
  } catch {
    return 0;
  }
}
