import { readdirSync, readlinkSync } from 'node:fs';
import type Fuse from 'fuse-native';
import type { XattrSignal } from 'fuse-native';
import { CkptfsError } from '../base/errors.ts';
import type { FaultListener } from './connection.ts';
import type { FileSystem } from './filesystem.ts';
import { checkedMountPoint, escapeOption, findMount, subtype, unmount } from './mount-point.ts';
import { nativeOperations, type XattrOperations } from './native-operations.ts';

/** A year, as the default transport has it. */
const foreverSeconds = 365 * 86400;

/** fuse-native keeps path and options in fixed buffers and would cut them short. */
const longestArgument = 1023;

const watchMilliseconds = 200;

interface NativeMountOptions {
  /** What mount tables name as the source: the image's path. */
  readonly source: string;
  readonly allowOther: boolean;
  /** Let no program be run from the mount. */
  readonly noExec?: boolean;
  readonly maxRead: number;
  readonly onFault: FaultListener;
}

interface NativeMount {
  readonly mountPoint: string;
  /** `MAJOR:MINOR`. */
  readonly device: string;
  /** Settles once the mount is gone, by whomever it was unmounted. */
  readonly ended: Promise<void>;
}

/**
 * Mounts an immutable file system through the npm package fuse-native, that is through the libfuse 2.9 it bundles: a second
 * opinion on the default transport, and a way out where that cannot run. Requests are answered on the calling thread's event
 * loop. {@link unmount} unmounts it.
 * @throws CkptfsError `missing-feature`, `mount-failed`, `bad-argument`
 */
export async function mountNative(
  directory: string,
  fileSystem: FileSystem,
  options: NativeMountOptions,
): Promise<NativeMount> {
  if (!fileSystem.immutable)
    throw new CkptfsError('bad-argument', 'the fuse-native transport serves only what never changes');
  const Package = await loadPackage();
  const mountPoint = await checkedMountPoint(directory);
  // The package has no options for these, but joins all of them with commas.
  const flags = `ro,nosuid,nodev${options.noExec ? ',noexec' : ''}`;
  const fsname = `${escapeOption(options.source)},${flags},use_ino,negative_timeout=${foreverSeconds}`;
  if (Math.max(Buffer.byteLength(mountPoint), Buffer.byteLength(fsname) + 200) > longestArgument) {
    throw new CkptfsError('mount-failed', 'paths this long cannot be mounted through fuse-native', {
      path: mountPoint,
    });
  }
  const { xattrs, ...operations } = nativeOperations(fileSystem, options.onFault);
  const server = new (withXattrs(Package, xattrs))(mountPoint, operations, {
    // Never let the package answer the kernel on its own.
    timeout: false,
    allowOther: options.allowOther,
    defaultPermissions: true,
    kernelCache: true,
    maxRead: options.maxRead,
    subtype,
    entryTimeout: foreverSeconds,
    attrTimeout: foreverSeconds,
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
    // Its own way runs a shell, and always lazily. The mount is gone already when we let it clean up.
    Package.unmount = (_mountPoint, done) => done(null);
    return Package;
  } catch (cause) {
    const advice = 'Install it with npm install fuse-native, or use the default transport.';
    throw new CkptfsError('missing-feature', 'the package fuse-native is not installed, or does not load here', {
      advice,
      cause,
    });
  }
}

/**
 * The package asks `getxattr` and `listxattr` without saying how much room the caller has, and then lets libfuse read
 * beyond that room. So these two are answered one level below, where the room is known.
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

/** The descriptors of this process that are an open /dev/fuse. */
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

/** The package tells nobody when a mount has ended; but libfuse closes its device then, so that is what is watched. */
function closed(device: string): Promise<void> {
  return new Promise((resolve) => {
    const timer = setInterval(() => {
      if (isDevice(device)) return;
      clearInterval(timer);
      resolve();
    }, watchMilliseconds);
  });
}

function settled(start: (done: (error: unknown) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    start((error) => (error ? reject(error) : resolve()));
  });
}
