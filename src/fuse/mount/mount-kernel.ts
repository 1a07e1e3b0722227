import { closeSync, openSync } from 'node:fs';
import { constants } from 'node:os';
import { errnoName } from '../../base/errno.ts';
import { CkptfsError, systemErrorName } from '../../base/errors.ts';
import { MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_RDONLY, tryMount } from '../../base/linux/mounts.ts';
import { checkHelper, mountByHelper } from './fusermount.ts';
import { checkedMountPoint, escapeOption, FUSE_SUBTYPE, FUSE_TYPE, unmount } from './mount-point.ts';
import { readMounts, topmostAt } from './mountinfo.ts';

const DEVICE_PATH = '/dev/fuse';

interface KernelMountOptions {
  /** The source in mount tables: the image's path. */
  readonly source: string;
  readonly readOnly: boolean;
  /** Serve other users, as far as modes and owners allow. */
  readonly allowOther: boolean;
  /** Let no program be run from the mount. */
  readonly noExec?: boolean;
  /** Most bytes the kernel may ask for in one READ. */
  readonly maxRead: number;
  /** Leads to the directory, if it is an automount, which another process holds. */
  readonly handle?: string | undefined;
}

export interface KernelMount {
  /**
   * The open /dev/fuse. It must be served at once: every process that touches the mount waits for that. Closing it ends
   * the mount.
   */
  readonly fd: number;
  /** Absolute, without symbolic links, as in mount tables. */
  readonly mountPoint: string;
  /** `MAJOR:MINOR` of the mount, for {@link setReadAhead}. */
  readonly device: string;
}

/**
 * Mounts a FUSE file system of ours on a directory: by mount(2) where this process may, otherwise by fusermount3.
 * Nothing serves it yet, so neither this function nor its caller may access the mount point before {@link serve} runs
 * on another thread.
 * @throws CkptfsError `missing-feature`, `mount-failed`
 */
export async function mountKernel(directory: string, options: KernelMountOptions): Promise<KernelMount> {
  const mountPoint = await checkedMountPoint(directory, options.handle);
  const fd = (await mountAsRoot(mountPoint, options)) ?? (await mountByHelper(mountPoint, helperOptions(options)));
  try {
    const made = topmostAt(await readMounts(), mountPoint);
    if (made?.fsType === FUSE_TYPE) return { fd, mountPoint, device: made.device };
    throw new CkptfsError('mount-failed', `${mountPoint} was mounted, but another process has unmounted it`, {
      path: mountPoint,
    });
  } catch (cause) {
    closeSync(fd);
    await unmount(mountPoint, { lazy: true }).catch(() => undefined);
    throw cause;
  }
}

/**
 * Checks what every mount needs: a device that can be opened and, for an ordinary user, the helper.
 * @throws CkptfsError `missing-feature`
 */
export async function checkKernelMounts(): Promise<void> {
  closeSync(openDevice());
  if (process.geteuid?.() !== 0) await checkHelper();
}

/** Mounts by mount(2); undefined when this process may not, like an ordinary user's or one in most containers. */
async function mountAsRoot(mountPoint: string, options: KernelMountOptions): Promise<number | undefined> {
  if (process.geteuid?.() !== 0) return undefined;
  const fd = openDevice();
  const data = [`fd=${fd}`, 'rootmode=40000', 'user_id=0', 'group_id=0', ...kernelOptions(options)].join(',');
  const flags = MS_NOSUID | MS_NODEV | (options.readOnly ? MS_RDONLY : 0) | (options.noExec ? MS_NOEXEC : 0);
  const errno = tryMount(options.source, options.handle ?? mountPoint, FUSE_TYPE, flags, data);
  if (errno === 0) return fd;
  closeSync(fd);
  if (errno === constants.errno.EPERM) return undefined;
  if (errno === constants.errno.ENODEV) throw noDevice('this kernel has no FUSE', undefined);
  throw new CkptfsError('mount-failed', `cannot mount on ${mountPoint}: ${errnoName(errno) ?? errno}`, {
    path: mountPoint,
  });
}

function openDevice(): number {
  try {
    return openSync(DEVICE_PATH, 'r+');
  } catch (cause) {
    throw noDevice(`cannot open ${DEVICE_PATH}: ${systemErrorName(cause) ?? String(cause)}`, cause);
  }
}

function noDevice(message: string, cause: unknown): CkptfsError {
  const feature = systemErrorName(cause) === 'EACCES' ? 'fuse-device-access' : 'fuse-device';
  return new CkptfsError('missing-feature', message, { path: DEVICE_PATH, data: { feature }, cause });
}

function kernelOptions({ allowOther, maxRead }: KernelMountOptions): string[] {
  return ['default_permissions', `max_read=${maxRead}`, ...(allowOther ? ['allow_other'] : [])];
}

function helperOptions(options: KernelMountOptions): string[] {
  const access = options.readOnly ? 'ro' : 'rw';
  return [
    access,
    'nosuid',
    'nodev',
    ...(options.noExec ? ['noexec'] : []),
    `fsname=${escapeOption(options.source)}`,
    `subtype=${FUSE_SUBTYPE}`,
    ...kernelOptions(options),
  ];
}
