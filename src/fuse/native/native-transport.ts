import { readdirSync, readlinkSync } from 'node:fs';
import type Fuse from 'fuse-native';
import type { XattrSignal } from 'fuse-native';
import { CkptfsError } from '../../base/errors.ts';
import type { ErrorListener } from '../device/connection.ts';
import { checkedMountPoint, escapeOption, FUSE_SUBTYPE, findMount, unmount } from '../mount/mount-point.ts';
import type { FileSystem } from '../protocol/filesystem.ts';
import { nativeOperations, type XattrOperations } from './native-operations.ts';

/** A year, as in the default transport. */
const FOREVER_SECONDS = 365 * 86400;

/** fuse-native keeps path and options in buffers of fixed size and would truncate longer ones. */
const MAX_ARGUMENT_LENGTH = 1023;

const WATCH_MILLISECONDS = 200;

interface NativeMountOptions {
  /** The source in mount tables: the image's path. */
  readonly source: string;
  readonly allowOther: boolean;
  /** Let no program be run from the mount. */
  readonly noExec?: boolean;
  readonly maxRead: number;
  readonly onError: ErrorListener;
}

interface NativeMount {
  readonly mountPoint: string;
  /** `MAJOR:MINOR`. */
  readonly device: string;
  /** Resolves when the mount is gone, whichever process unmounted it. */
  readonly ended: Promise<void>;
}

/**
 * Mounts an immutable file system through the npm package fuse-native, that is through the libfuse 2.9 that it bundles.
 * It is an independent check of the default transport, and a substitute where that cannot run. Requests are answered on
 * the calling thread's event loop. {@link unmount} unmounts it.
 * @throws CkptfsError `missing-feature`, `mount-failed`, `bad-argument`
 */
export async function mountNative(
  directory: string,
  fileSystem: FileSystem,
  options: NativeMountOptions,
): Promise<NativeMount> {
  if (!fileSystem.immutable)
    throw new CkptfsError('bad-argument', 'the fuse-native transport serves only file systems that never change');
  const Package = await loadPackage();
  const mountPoint = await checkedMountPoint(directory);
  // The package has no options for these, but it joins all options with commas.
  const flags = `ro,nosuid,nodev${options.noExec ? ',noexec' : ''}`;
  const fsname = `${escapeOption(options.source)},${flags},use_ino,negative_timeout=${FOREVER_SECONDS}`;
  if (Math.max(Buffer.byteLength(mountPoint), Buffer.byteLength(fsname) + 200) > MAX_ARGUMENT_LENGTH) {
    throw new CkptfsError('mount-failed', 'the paths of the image and the mount point are too long for fuse-native', {
      path: mountPoint,
    });
  }
  const { xattrs, ...operations } = nativeOperations(fileSystem, options.onError);
  const server = new (withXattrs(Package, xattrs))(mountPoint, operations, {
    // With a timeout the package would answer the kernel itself.
    timeout: false,
    allowOther: options.allowOther,
    defaultPermissions: true,
    kernelCache: true,
    maxRead: options.maxRead,
    subtype: FUSE_SUBTYPE,
    entryTimeout: FOREVER_SECONDS,
    attrTimeout: FOREVER_SECONDS,
    fsname,
  });
  const before = new Set(openDevices());
  await settled((done) => server.mount(done)).catch((cause: unknown) => {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new CkptfsError('mount-failed', `cannot mount on ${mountPoint} through fuse-native: ${reason}`, {
      path: mountPoint,
      cause,
    });
  });
  const { device } = await findMount(mountPoint);
  const opened = openDevices().find((fd) => !before.has(fd));
  if (opened === undefined) throw new CkptfsError('internal', 'fuse-native has opened no FUSE device');
  const ended = closed(opened).then(() => settled((done) => server.unmount(done)));
  return { mountPoint, device, ended };
}

async function loadPackage(): Promise<typeof Fuse> {
  try {
    const { default: Package } = await import('fuse-native');
    // The package's own unmount runs a shell, and is always lazy. The mount is already gone when the package cleans up.
    Package.unmount = (_mountPoint, done) => done(null);
    return Package;
  } catch (cause) {
    throw new CkptfsError('missing-feature', 'the package fuse-native is not installed or cannot be loaded', {
      data: { feature: 'fuse-native' },
      cause,
    });
  }
}

/**
 * Answers `getxattr` and `listxattr` one level below the package's own interface, where the size of the caller's buffer
 * is known. The package's interface hides that size, and then lets libfuse read past the end of the buffer.
 */
function withXattrs(Package: typeof Fuse, xattrs: XattrOperations): typeof Fuse {
  return class extends Package {
    protected override _op_getxattr(signal: XattrSignal, path: string, name: string, value: Buffer): void {
      signal(xattrs.getxattr(path, name, value), value.buffer);
    }

    protected override _op_listxattr(signal: XattrSignal, path: string, list: Buffer): void {
      signal(xattrs.listxattr(path, list), list.buffer);
    }
  };
}

/** Returns the descriptors of this process that are an open /dev/fuse. */
function openDevices(): string[] {
  return readdirSync('/proc/self/fd').filter((fd) => isDevice(fd));
}

function isDevice(fd: string): boolean {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`) === '/dev/fuse';
  } catch {
    return false;
  }
}

/**
 * Waits for the end of a mount. The package does not report it, but libfuse then closes its device, so this watches
 * that.
 */
function closed(device: string): Promise<void> {
  return new Promise((resolve) => {
    const timer = setInterval(() => {
      if (isDevice(device)) return;
      clearInterval(timer);
      resolve();
    }, WATCH_MILLISECONDS);
  });
}

function settled(start: (done: (error: unknown) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    start((error) => (error ? reject(error) : resolve()));
  });
}
