import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { CkptfsError, systemErrorName } from '../../base/errors.ts';
import { setTimes } from '../../base/linux/at-calls.ts';
import { MS_NODEV, MS_NOEXEC, MS_NOSUID, makePrivate, mount, unmountPath } from '../../base/linux/mounts.ts';
import { checkedMountPoint } from '../../fuse/mount/mount-point.ts';
import { isScratch, readMounts, SCRATCH_SOURCE, topmostAt } from '../../fuse/mount/mountinfo.ts';
import type { DaemonConfig } from '../handover/daemon-config.ts';
import { ownStateDirectory } from '../mounts/state-directory.ts';
import type { RootAttributes } from '../thread/thread-messages.ts';
import type { Log } from './log.ts';

type Access = Pick<DaemonConfig, 'allowOther' | 'allowRoot' | 'noExec'>;

/**
 * Makes a mount whose changes go to memory: an overlayfs of the image and a tmpfs. Both are mounted in a hidden
 * directory only until the overlay is made. The overlay has mounts of its layers of its own: when it is unmounted,
 * nothing holds them any more, and the image's mount ends too.
 */
export class ScratchSpace {
  /** The directory to mount the image on. */
  readonly lower: string;
  readonly #mountPoint: string;
  readonly #handle: string;
  readonly #hidden: string;

  private constructor(hidden: string, mountPoint: string, handle = mountPoint) {
    this.#hidden = hidden;
    this.#mountPoint = mountPoint;
    this.#handle = handle;
    this.lower = join(hidden, 'lower');
  }

  /** Mounts the memory, below a hidden directory. Needs root. @throws CkptfsError `mount-failed`, `io` */
  static async prepare(
    { mountPoint: directory, automount }: Pick<DaemonConfig, 'mountPoint' | 'automount'>,
    log: Log,
  ): Promise<ScratchSpace> {
    const mountPoint = await checkedMountPoint(directory, automount);
    const space = new ScratchSpace(mkdtempSync(join(ownStateDirectory(), 'scratch-')), mountPoint, automount);
    try {
      mountMemory(space.#hidden, log);
      // What is mounted below from here on is visible in no other mount namespace.
      makePrivate(space.#hidden);
      for (const name of ['lower', 'upper', 'work']) mkdirSync(join(space.#hidden, name));
      return space;
    } catch (cause) {
      space.abandon();
      throw mountFailed(mountPoint, cause);
    }
  }

  /**
   * Mounts image and memory as one at the mount point. The image must be served already, by other threads.
   * @throws CkptfsError `mount-failed`
   */
  async publish(
    root: RootAttributes,
    access: Access,
  ): Promise<{ readonly mountPoint: string; readonly device: string }> {
    const [upper, work] = ['upper', 'work'].map((name) => join(this.#hidden, name)) as [string, string];
    try {
      // The root of an overlay is that of its upper layer. FUSE never learns which user asks, because overlayfs reads
      // its layers as root: this directory alone decides which users get in.
      const open = access.allowOther && !access.allowRoot;
      chownSync(upper, open ? root.uid : 0, open ? root.gid : 0);
      chmodSync(upper, open ? root.mode : 0o700);
      setTimes(Buffer.from(upper), root.atime, root.mtime);
      const layers = `lowerdir=${this.lower},upperdir=${upper},workdir=${work}`;
      const flags = MS_NOSUID | MS_NODEV | (access.noExec ? MS_NOEXEC : 0);
      mount(SCRATCH_SOURCE, this.#handle, 'overlay', flags, layers);
    } catch (cause) {
      throw mountFailed(this.#mountPoint, cause);
    }
    this.abandon();
    const made = topmostAt(await readMounts(), this.#mountPoint);
    if (made !== undefined && isScratch(made)) return { mountPoint: this.#mountPoint, device: made.device };
    throw new CkptfsError('mount-failed', `${this.#mountPoint} was mounted and is gone again`);
  }

  /**
   * Removes the hidden directory with all that is mounted there. Layers of an overlay stay as long as the overlay.
   * Never throws, and does nothing when called again.
   */
  abandon(): void {
    try {
      unmountPath(this.#hidden, true);
    } catch {
      // Nothing is mounted there.
    }
    try {
      rmdirSync(this.#hidden);
    } catch {
      // It was removed already. If something else keeps it, an empty directory stays.
    }
  }
}

/** Mounts a tmpfs that is never swapped out. Before Linux 6.4 that cannot be had: then a plain one, with a warning. */
function mountMemory(directory: string, log: Log): void {
  const make = (options: string): void => mount('ckptfs-scratch', directory, 'tmpfs', MS_NOSUID | MS_NODEV, options);
  try {
    make('mode=0700,noswap');
  } catch (cause) {
    if (systemErrorName(cause) !== 'EINVAL') throw cause;
    make('mode=0700');
    log.warning('scratch files may be swapped out: this kernel has no tmpfs without swap');
  }
}

function mountFailed(path: string, cause: unknown): CkptfsError {
  if (cause instanceof CkptfsError) return cause;
  const reason = systemErrorName(cause) ?? String(cause);
  return new CkptfsError('mount-failed', `cannot mount scratch space on ${path}: ${reason}`, { path, cause });
}
