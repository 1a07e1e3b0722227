import { stat, statfs } from 'node:fs/promises';
import { CkptfsError, ioError } from '../../base/errors.ts';
import { reachWhole } from '../../fuse/mount/reachable.ts';
import { listMounts } from '../../serve/control/status.ts';

/** The actions of criu(8) that come before it writes or reads an image, and that refuse the work when they fail. */
const FIRST_ACTIONS: readonly string[] = ['pre-dump', 'pre-restore'];

/** Values of f_type, statfs(2), of file systems in memory: tmpfs, ramfs. */
const IN_MEMORY: readonly number[] = [0x0102_1994, 0x8584_58f6];

/**
 * Does what `ckptfs` does as an `--action-script` of criu: refuses a dump or a restore of which the images are neither
 * on a mount of ckptfs nor in memory. criu has opened the directory by then, so nothing can be mounted there any more.
 * @param action CRTOOLS_SCRIPT_ACTION; all but the first ones are let pass
 * @throws CkptfsError `not-mounted`; `bad-argument` where criu names no directory; `io`, `no-answer`
 */
export async function checkCriuAction(action: string): Promise<void> {
  if (!FIRST_ACTIONS.includes(action)) return;
  const directory = process.env['CRTOOLS_IMAGE_DIR'];
  if (!directory) throw new CkptfsError('bad-argument', 'criu names no directory of images (CRTOOLS_IMAGE_DIR)');
  const path = await reachWhole(directory);
  if (await isProtected(directory)) return;
  const what = action === 'pre-dump' ? 'the dump' : 'the restore';
  throw new CkptfsError(
    'not-mounted',
    `${what} is refused: criu's directory of images, ${path}, is neither on a mount of ckptfs nor in memory`,
    { path },
  );
}

async function isProtected(directory: string): Promise<boolean> {
  try {
    const { type } = await statfs(directory);
    if (IN_MEMORY.includes(type)) return true;
    const { dev } = await stat(directory, { bigint: true });
    return await isOwnDevice(deviceText(dev));
  } catch (cause) {
    throw ioError('examine', directory, cause);
  }
}

/** A mount may be in a namespace of its own, as that of `exec` is, so the device is looked for among all daemons. */
async function isOwnDevice(device: string): Promise<boolean> {
  return (await listMounts()).some(
    (mount) => mount.device === device && (mount.state === 'serving' || mount.state === 'elsewhere'),
  );
}

/** Returns the device that a number of stat(2) stands for as mount tables have it. @param dev as in makedev(3) */
export function deviceText(dev: bigint): string {
  const major = ((dev >> 8n) & 0xfffn) | ((dev >> 32n) & 0xffff_f000n);
  const minor = (dev & 0xffn) | ((dev >> 12n) & 0xffff_ff00n);
  return `${major}:${minor}`;
}
