import { availableParallelism } from 'node:os';
import { relative } from 'node:path';
import { absolutePath } from '../../base/current-directory.ts';
import { CkptfsError } from '../../base/errors.ts';
import { checkKernelMounts } from '../../fuse/mount/mount-kernel.ts';
import { checkedMountPoint } from '../../fuse/mount/mount-point.ts';
import { readMountsSync } from '../../fuse/mount/mountinfo.ts';
import { locate } from '../../fuse/mount/reachable.ts';
import { readHeader, readHeaderToWriteOn } from '../../image/read/image.ts';
import { DEFAULT_CACHE_SIZE } from '../../image/read/image-reader.ts';
import { openStore } from '../../stores/open-store.ts';
import type { DaemonConfig, Transport } from '../handover/config.ts';
import { parseFuseOptions } from './fuse-options.ts';

export interface MountOptions {
  /** The image, as a user writes it. */
  readonly location: string;
  /** A directory. */
  readonly mountPoint: string;
  /**
   * Let files be changed and made, in an image that is sealed or not. It is unsealed from then on, and sealed when the mount is gone. Needs the
   * transport kernel, has one thread and no scratch space.
   */
  readonly write?: boolean;
  readonly transport?: Transport;
  /** Threads that serve, 1 to 64; default one per core, at most 8. The transport fuse-native has one whatever is said, and so has `write`. */
  readonly workers?: number;
  /** Bytes of verified chunks kept in memory, of all workers together. Default 64 MiB. */
  readonly cacheSize?: number;
  /**
   * Permission bits of the root directory, where they are not to be those of the image. A mount that is only read shows them; with `write` the
   * image gets them.
   */
  readonly rootMode?: number;
  /** Let other users in, as far as modes and owners allow. */
  readonly allowOther?: boolean;
  /** Let root in besides the user who mounts. */
  readonly allowRoot?: boolean;
  /** Files made on the mount go to memory and are gone with it. Needs root and the transport kernel. */
  readonly scratch?: boolean;
  /** As given to `-o`, see {@link parseFuseOptions}. */
  readonly fuseOptions?: readonly string[];
}

interface DaemonOptions extends MountOptions {
  /** For tests alone, see {@link DaemonConfig}. */
  readonly lingerSeconds?: number;
}

const MAX_WORKERS = 64;
const DEFAULT_MAX_WORKERS = 8;
const MIN_CACHE_SIZE = 1 << 16;

/**
 * Checks the options and the image's header as far as that goes without a daemon.
 * @throws CkptfsError `bad-argument`, `missing-feature`, and what {@link readHeader} throws
 */
export function daemonConfig(options: DaemonOptions): { readonly config: DaemonConfig; readonly imageId: string } {
  const checked = checkedConfig(options);
  const store = openStore(checked.location);
  try {
    const { imageId } = checked.write ? readHeaderToWriteOn(store) : readHeader(store);
    return { config: { ...checked, image: store.identity() }, imageId: imageId.toString('hex') };
  } finally {
    store.close();
  }
}

/**
 * The same where the image is yet to be made, so that none is made for nothing: looks at the mount point, the device and the helper as well.
 * @throws CkptfsError `bad-argument`, `missing-feature`, `mount-failed` when there is nothing to mount on
 */
export async function checkMount(options: MountOptions): Promise<void> {
  await checkedMountPoint(checkedConfig(options).mountPoint);
  await checkKernelMounts();
}

function checkedConfig(options: DaemonOptions): Omit<DaemonConfig, 'image'> {
  const { transport = 'kernel', scratch = false, write = false, cacheSize = DEFAULT_CACHE_SIZE } = options;
  const fuse = parseFuseOptions(options.fuseOptions ?? []);
  const allowOther = (options.allowOther ?? false) || fuse.allowOther;
  const allowRoot = (options.allowRoot ?? false) || fuse.allowRoot;
  const isSingle = transport !== 'kernel' || write;
  const workers = options.workers ?? (isSingle ? 1 : Math.min(DEFAULT_MAX_WORKERS, availableParallelism()));
  if (!Number.isInteger(workers) || workers < 1 || workers > MAX_WORKERS) {
    throw new CkptfsError('bad-argument', `${workers} workers: 1 to ${MAX_WORKERS} are possible`);
  }
  if (!Number.isSafeInteger(cacheSize) || cacheSize < MIN_CACHE_SIZE) {
    throw new CkptfsError('bad-argument', `a cache of ${cacheSize} bytes: at least ${MIN_CACHE_SIZE} are needed`);
  }
  if (write) checkWriting({ transport, scratch, workers, readOnly: fuse.readOnly });
  const isRoot = process.geteuid?.() === 0;
  if (scratch && !isRoot)
    throw new CkptfsError('missing-feature', 'only root can mount with scratch space', { data: { feature: 'root' } });
  if (transport !== 'kernel' && (scratch || allowRoot)) {
    throw new CkptfsError('bad-argument', 'scratch space and allow_root need the transport kernel');
  }
  if (allowOther && allowRoot) {
    throw new CkptfsError(
      'bad-argument',
      'allow_other and allow_root exclude each other: allow_other lets root in too',
    );
  }
  const { rootMode } = options;
  if (rootMode !== undefined && !(Number.isInteger(rootMode) && rootMode >= 0 && rootMode <= 0o7777)) {
    throw new CkptfsError('bad-argument', `a mode of ${rootMode} for the root directory: 0 to 0o7777 are possible`);
  }
  const location = absolutePath(options.location);
  const mountPoint = absolutePath(options.mountPoint);
  checkApart(location, mountPoint);
  return {
    location,
    mountPoint,
    transport,
    workers: isSingle ? 1 : workers,
    cacheSize,
    ...(rootMode === undefined ? {} : { rootMode }),
    allowOther,
    allowRoot,
    noExec: fuse.noExec,
    scratch,
    write,
    fsName: fuse.fsName ?? location,
    ...(options.lingerSeconds === undefined ? {} : { lingerSeconds: options.lingerSeconds }),
  };
}

interface WritingOptions {
  readonly transport: Transport;
  readonly scratch: boolean;
  readonly workers: number;
  readonly readOnly: boolean;
}

function checkWriting({ transport, scratch, workers, readOnly }: WritingOptions): void {
  const contrary =
    (transport !== 'kernel' && `the transport ${transport}`) ||
    (scratch && 'scratch space') ||
    (workers !== 1 && `${workers} workers`) ||
    (readOnly && 'the mount option ro');
  if (contrary === false) return;
  throw new CkptfsError(
    'bad-argument',
    `an image cannot be mounted to be written with ${contrary}: it has one writer, a thread of the transport kernel`,
  );
}

/** A daemon whose image lies behind its own mount would wait for itself for ever. */
function checkApart(location: string, mountPoint: string): void {
  // What is mounted there already is not looked at: it may never answer.
  const mounts = readMountsSync();
  const [image, mount] = [locate(location, mounts).path, locate(mountPoint, mounts).path];
  if (!isWithin(image, mount) && !isWithin(mount, image)) return;
  throw new CkptfsError('bad-argument', `the mount on ${mountPoint} would hide its own image ${location}`, {
    path: mountPoint,
  });
}

function isWithin(path: string, directory: string): boolean {
  const way = relative(directory, path);
  return way !== '..' && !way.startsWith('../');
}
