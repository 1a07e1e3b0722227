import type { Secret } from '../../crypto/secret.ts';
import { holdAutomount } from '../../fuse/mount/mount-point.ts';
import { type UnmountOptions, type UnmountResult, unmountImage } from '../control/umount.ts';
import type { KeyOrigin } from '../handover/key-channel.ts';
import { findLog } from '../handover/log-file.ts';
import { checkOptions, type MountOptions } from './checked-options.ts';
import { DaemonProcess } from './daemon-process.ts';

export interface BackgroundMountOptions extends MountOptions {
  /**
   * The caller wipes it. The daemon starts while a promised key is still being unlocked, which hides most of the time
   * that takes. If the promise rejects, the daemon ends and the mount fails.
   */
  readonly imageKey: Secret | Promise<Secret>;
  /** Returns what opened the image, for `ckptfs status`. Is called when the key is there. */
  readonly origin?: (() => KeyOrigin) | undefined;
  /**
   * The path of the daemon's log, which is made with mode 0600. Default: a file named by the image id, in
   * /var/log/ckptfs for root, otherwise below XDG_STATE_HOME.
   */
  readonly logFile?: string;
  /** Makes the daemon detach the mount when this process ends, for whatever reason. */
  readonly endWithCaller?: boolean;
}

/** A mount that serves. The daemon stays when this process ends, unless `endWithCaller` was given. */
export interface MountHandle {
  /** An absolute path without symbolic links, as in mount tables. */
  readonly mountPoint: string;
  /** 32 hexadecimal digits. */
  readonly imageId: string;
  /** The pid of the daemon. */
  readonly pid: number;
  readonly logFile: string;
  /** Sentences about what may keep the mount from being useful. The log has them too. */
  readonly warnings: readonly string[];
  /** Unmounts, and waits until the daemon has sealed a writable image and wiped its keys. */
  unmount(options?: UnmountOptions): Promise<UnmountResult>;
}

/**
 * Mounts an image with a daemon in the background. Returns when the mount serves.
 * @param started the daemon's process if it runs already; otherwise one is started
 * @throws the daemon's error: `bad-argument`, `not-an-image`, `unfinished`, `unsealed`, `locked`,
 *   `unsupported-format`, `damaged`, `mount-failed`, `missing-feature`, `io`, `internal`
 */
export async function mountImage(options: BackgroundMountOptions, started?: DaemonProcess): Promise<MountHandle> {
  const { config, imageId } = checkOptions(options);
  const logFile = findLog(imageId, options.logFile);
  const words = [config.location, config.mountPoint];
  // libfuse makes and ends its mounts on threads of its own, so such a daemon has to be in the caller's namespace. One
  // that was started already and is not used ends with this process.
  const isKernel = config.transport !== 'fuse-native';
  const daemon = (isKernel ? started : undefined) ?? DaemonProcess.start(words, { apart: isKernel });
  const endWithCaller = options.endWithCaller ?? false;
  const held = await holdAutomount(config.mountPoint);
  const { mountPoint, pid, warnings } = await daemon
    .mount(
      { ...config, logFile, endWithCaller, ...(held === undefined ? {} : { automount: held.handle }) },
      options.imageKey,
      options.origin,
    )
    .finally(() => held?.close());
  if (!endWithCaller) daemon.letGo();
  const unmount = async (how?: UnmountOptions): Promise<UnmountResult> => {
    const result = await unmountImage(mountPoint, how);
    daemon.letGo();
    return result;
  };
  return { mountPoint, imageId, pid, logFile, warnings, unmount };
}
