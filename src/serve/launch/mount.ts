import type { Secret } from '../../crypto/secret.ts';
import { type UnmountOptions, type UnmountResult, unmountImage } from '../control/umount.ts';
import { findLog } from '../handover/log-file.ts';
import { checkOptions, type MountOptions } from './checked-options.ts';
import { DaemonProcess } from './daemon-process.ts';

export interface BackgroundMountOptions extends MountOptions {
  /**
   * Stays the caller's to wipe. The daemon starts while a promised key is still being unlocked, which hides most of the time that takes;
   * when the promise fails, the daemon ends and the mount fails with it.
   */
  readonly imageKey: Secret | Promise<Secret>;
  /** Of the daemon, made with mode 0600. Default: named by image id, in /var/log/ckptfs as root, else below XDG_STATE_HOME. */
  readonly logFile?: string;
  /** The daemon detaches the mount when this process ends, however that comes about. */
  readonly endWithCaller?: boolean;
}

/** A mount that serves. The daemon lives on when this process ends, unless `endWithCaller` was asked for. */
export interface MountHandle {
  /** Absolute, without symbolic links: as mount tables have it. */
  readonly mountPoint: string;
  /** 32 hexadecimal digits. */
  readonly imageId: string;
  /** Of the daemon. */
  readonly pid: number;
  readonly logFile: string;
  /** What may keep the mount from doing what it is for, as sentences; the log has them too. */
  readonly warnings: readonly string[];
  /** Unmounts and waits until the daemon has wiped its keys and, where it wrote, sealed the image. */
  unmount(options?: UnmountOptions): Promise<UnmountResult>;
}

/**
 * Mounts an image by a daemon in the background. Returns when the mount serves.
 * @param started the daemon's process, if it runs already; else one is started
 * @throws CkptfsError what the daemon met: `bad-argument`, `not-an-image`, `unfinished`, `unsealed`, `locked`, `unsupported-format`, `damaged`,
 * `mount-failed`, `missing-feature`, `io`, `internal`
 */
export async function mountImage(options: BackgroundMountOptions, started?: DaemonProcess): Promise<MountHandle> {
  const { config, imageId } = checkOptions(options);
  const logFile = findLog(imageId, options.logFile);
  const words = [config.location, config.mountPoint];
  // libfuse makes and ends its mounts on threads of its own. A daemon that was started already and is told nothing ends with this process.
  const isKernel = config.transport === 'kernel';
  const daemon = (isKernel ? started : undefined) ?? DaemonProcess.start(words, { apart: isKernel });
  const endWithCaller = options.endWithCaller ?? false;
  const { mountPoint, pid, warnings } = await daemon.mount({ ...config, logFile, endWithCaller }, options.imageKey);
  if (!endWithCaller) daemon.letGo();
  const unmount = async (how?: UnmountOptions): Promise<UnmountResult> => {
    const result = await unmountImage(mountPoint, how);
    daemon.letGo();
    return result;
  };
  return { mountPoint, imageId, pid, logFile, warnings, unmount };
}
