import { availableParallelism } from 'node:os';
import { relative } from 'node:path';
import { absolutePath } from '../../base/current-directory.ts';
import { CkptfsError } from '../../base/errors.ts';
import { checkLibrary } from '../../compression/check-compression.ts';
import { isFipsDemanded } from '../../crypto/provider.ts';
import type { PageFiles } from '../../fs/direct-opens.ts';
import { checkKernelMounts } from '../../fuse/mount/mount-kernel.ts';
import { checkedMountPoint } from '../../fuse/mount/mount-point.ts';
import { readMountsSync } from '../../fuse/mount/mountinfo.ts';
import { locate } from '../../fuse/mount/reachable.ts';
import { checkRings } from '../../fuse/uring/switch.ts';
import { readHeader, readHeaderToWriteOn } from '../../image/read/image.ts';
import { DEFAULT_READ_CACHE_BYTES } from '../../image/read/object-reader.ts';
import type { EphemeralImage } from '../../image/writable/open-ephemeral.ts';
import { openStore } from '../../stores/open-store.ts';
import {
  type CriuConfig,
  type DaemonConfig,
  type LogFormat,
  nameOf,
  placeOf,
  type RemoteConfig,
  type Transport,
} from '../handover/daemon-config.ts';
import type { LeaseTerms } from '../leases/terms.ts';
import { stateDirectoryPath } from '../mounts/state-directory.ts';
import { type FuseOptions, parseFuseOptions } from './fuse-options.ts';

export interface MountOptions {
  /** The path of the image, as a user writes it. */
  readonly location: string;
  /** Set for a directory that CRIU encrypted, which is only read and cannot be locked. */
  readonly criu?: CriuConfig | undefined;
  /** Set for an image in a remote store, which is only read. Its header and manifest are at `location`. */
  readonly remote?: RemoteConfig | undefined;
  /** The path of a directory. */
  readonly mountPoint: string;
  /**
   * Lets files be changed and made, whether the image is sealed or not. The image is unsealed from then on, and sealed
   * when the mount is gone. Needs the transport kernel; has one thread and no scratch space.
   */
  readonly write?: boolean;
  /** With `write`: the image is new, and not sealed but removed when the mount is gone: what `createEphemeral` made. */
  readonly ephemeral?: EphemeralImage | undefined;
  /** Default `auto`. */
  readonly transport?: Transport;
  /**
   * The number of threads that serve, 1 to 64. By default one for each core, at most 8. With the transport fuse-native
   * there is always one, and so there is with `write`.
   */
  readonly workers?: number;
  /**
   * How many bytes of verified tag pages are kept in memory, by all workers together: a page leads to 1 MiB of data.
   * Default 16 MiB.
   */
  readonly cacheSize?: number;
  /**
   * Whose reads of files of 4 MiB and more pass the page cache by: with `auto`, the default, those of CRIU. Nothing on
   * a writable mount. `direct` is not for fuse-native.
   */
  readonly pageFiles?: PageFiles;
  /**
   * Permission bits that the root directory gets instead of those in the image. A read-only mount shows them; with
   * `write` they are stored in the image.
   */
  readonly rootMode?: number;
  /** Lets other users in, as far as modes and owners allow. */
  readonly allowOther?: boolean;
  /** Lets root in besides the user who mounts. */
  readonly allowRoot?: boolean;
  /** Keeps files that are made on the mount in memory; they are gone with it. Needs root, and not fuse-native. */
  readonly scratch?: boolean;
  /**
   * The only manifest that is served: what `checkSignature` returned. Not with `write`, as what was signed is changed
   * then.
   */
  readonly signedManifest?: Uint8Array;
  /**
   * After so many seconds the mount locks itself, as `ckptfs lock` does; the time that the host is suspended counts.
   * Not with `write`, nor with the transports io-uring and fuse-native.
   */
  readonly keyTtlSeconds?: number;
  /**
   * For how long the key may be used until it is asked for again. It can lock what has a time by `keyTtlSeconds`, and
   * unmount anything.
   */
  readonly lease?: LeaseTerms | undefined;
  /** Where the daemon keeps a line when the mount is locked, unlocked or gone: an absolute path, or `syslog`. */
  readonly auditLog?: DaemonConfig['auditLog'];
  /** How the daemon writes its log. Default `text`. */
  readonly logFormat?: LogFormat;
  /** The pid of a process. When it has ended, and nothing has unmounted for 10 seconds, the mount is detached. */
  readonly endWithProcess?: number;
  /** Mount options as given to `-o`, see {@link parseFuseOptions}. */
  readonly fuseOptions?: readonly string[];
}

interface DaemonOptions extends MountOptions {
  /** Only for tests, see {@link DaemonConfig}. */
  readonly lingerSeconds?: number;
}

/** The options of a mount, as far as they do not depend on the image. */
type CheckedOptions = Omit<DaemonConfig, 'image'>;

export const MAX_WORKERS = 64;
const DEFAULT_MAX_WORKERS = 8;
/** Threads wait for the network, and one that waits answers no other process. */
const DEFAULT_MIN_REMOTE_WORKERS = 4;
const MIN_CACHE_SIZE = 1 << 16;

/**
 * Checks the options and the image's header, as far as that is possible without a daemon.
 * @throws CkptfsError `bad-argument`, `missing-feature`, and what {@link readHeader} throws
 */
export function checkOptions(options: DaemonOptions): { readonly config: DaemonConfig; readonly imageId: string } {
  const checked = checkedOptions(options);
  const { ephemeral } = checked;
  if (ephemeral !== undefined) {
    // No header would show that another directory is at its path by now.
    const [device = '', inode = ''] = ephemeral.made.directory.split(':');
    return { config: { ...checked, image: { device, inode } }, imageId: ephemeral.imageId };
  }
  const store = openStore(placeOf(checked));
  try {
    const { criu } = checked;
    if (criu !== undefined) return { config: { ...checked, image: store.identity() }, imageId: criu.imageId };
    const { imageId, compression } = checked.write ? readHeaderToWriteOn(store) : readHeader(store);
    checkLibrary(compression);
    return { config: { ...checked, image: store.identity() }, imageId: imageId.toString('hex') };
  } finally {
    store.close();
  }
}

/**
 * Checks the options of a mount whose image is still to be made or opened, and the mount point, the device and the
 * helper as well, so that no image is made, and no passphrase asked for, in vain.
 * @throws CkptfsError `bad-argument`, `missing-feature`, `mount-failed` when there is nothing to mount on
 */
export async function checkMount(options: MountOptions): Promise<void> {
  const { mountPoint, transport } = checkedOptions(options);
  await checkedMountPoint(mountPoint);
  if (transport !== 'fuse-native') await checkKernelMounts();
}

function checkedOptions(options: DaemonOptions): CheckedOptions {
  const {
    transport = 'auto',
    scratch = false,
    write = false,
    cacheSize = DEFAULT_READ_CACHE_BYTES,
    pageFiles = 'auto',
    logFormat = 'text',
    rootMode,
    signedManifest,
  } = options;
  const fuse = parseFuseOptions(options.fuseOptions ?? []);
  const location = absolutePath(options.location);
  const isSingle = transport === 'fuse-native' || write;
  const isRemote = options.remote !== undefined;
  const workers = options.workers ?? (isSingle ? 1 : defaultWorkers(isRemote));
  const checked: CheckedOptions = {
    location,
    mountPoint: absolutePath(options.mountPoint),
    transport,
    workers,
    cacheSize,
    pageFiles,
    ...(options.criu === undefined ? {} : { criu: options.criu }),
    ...(options.remote === undefined ? {} : { remote: options.remote }),
    ...(options.ephemeral === undefined ? {} : { ephemeral: options.ephemeral }),
    ...(rootMode === undefined ? {} : { rootMode }),
    ...(signedManifest === undefined ? {} : { signedManifest: Buffer.from(signedManifest).toString('hex') }),
    allowOther: (options.allowOther ?? false) || fuse.allowOther,
    allowRoot: (options.allowRoot ?? false) || fuse.allowRoot,
    noExec: fuse.noExec,
    scratch,
    write,
    ...(isFipsDemanded() ? { fipsProvider: true } : {}),
    fsName: fuse.fsName ?? nameOf({ location, remote: options.remote }),
    logFormat,
    ...(options.auditLog === undefined ? {} : { auditLog: options.auditLog }),
    ...(options.keyTtlSeconds === undefined ? {} : { keyTtlSeconds: options.keyTtlSeconds }),
    ...(options.endWithProcess === undefined ? {} : { endWithProcess: options.endWithProcess }),
    ...(options.lease === undefined ? {} : { lease: options.lease }),
    ...(options.lingerSeconds === undefined ? {} : { lingerSeconds: options.lingerSeconds }),
  };
  checkRanges(checked);
  if (write) checkWriting(checked, fuse);
  checkTtl(checked);
  checkLease(checked);
  checkCriu(checked);
  checkRemote(checked);
  if (transport === 'io-uring') checkRings();
  checkAccess(checked);
  checkApart(checked);
  return { ...checked, workers: isSingle ? 1 : workers };
}

function defaultWorkers(isRemote: boolean): number {
  return Math.max(isRemote ? DEFAULT_MIN_REMOTE_WORKERS : 1, Math.min(DEFAULT_MAX_WORKERS, availableParallelism()));
}

/** @throws CkptfsError `bad-argument` */
function checkRanges({ workers, cacheSize, rootMode }: CheckedOptions): void {
  if (!Number.isInteger(workers) || workers < 1 || workers > MAX_WORKERS) {
    throw new CkptfsError('bad-argument', `${workers} workers: 1 to ${MAX_WORKERS} are possible`);
  }
  if (!Number.isSafeInteger(cacheSize) || cacheSize < MIN_CACHE_SIZE) {
    throw new CkptfsError('bad-argument', `a cache of ${cacheSize} bytes: at least ${MIN_CACHE_SIZE} are needed`);
  }
  if (rootMode !== undefined && !(Number.isInteger(rootMode) && rootMode >= 0 && rootMode <= 0o7777)) {
    throw new CkptfsError('bad-argument', `a mode of ${rootMode} for the root directory: 0 to 0o7777 are possible`);
  }
}

/** Refuses what a directory that CRIU encrypted cannot do. @throws CkptfsError `bad-argument` */
function checkCriu({ criu, write, keyTtlSeconds, lease, signedManifest, location: path }: CheckedOptions): void {
  if (criu === undefined) return;
  const contrary =
    (write && 'is only read') ||
    (keyTtlSeconds !== undefined && 'cannot be locked, so its keys have no time') ||
    (isToLock(lease) && 'cannot be locked, so its lease cannot lock it') ||
    (signedManifest !== undefined && 'has no signatures');
  if (contrary === false) return;
  throw new CkptfsError('bad-argument', `${path} was encrypted by CRIU: it ${contrary}`, { path });
}

/** Refuses what an image in a remote store cannot do. @throws CkptfsError `bad-argument` */
function checkRemote({ remote, write, transport }: CheckedOptions): void {
  if (remote === undefined) return;
  const { url } = remote;
  if (write) throw new CkptfsError('bad-argument', `${url} is in a remote store: it is only read`);
  if (transport !== 'fuse-native') return;
  throw new CkptfsError('bad-argument', `${url} is in a remote store: it is not served by fuse-native`, {
    data: { reason: 'transport' },
  });
}

/** @throws CkptfsError `bad-argument` */
function checkTtl(options: CheckedOptions): void {
  const { keyTtlSeconds } = options;
  if (keyTtlSeconds === undefined) return;
  if (!(keyTtlSeconds > 0))
    throw new CkptfsError('bad-argument', 'the time until a mount locks itself must be above 0');
  refuseUnlockable(options, 'so its key has no time');
}

/** @throws CkptfsError `bad-argument` */
function checkLease(options: CheckedOptions): void {
  const { lease } = options;
  if (lease === undefined) return;
  const { seconds, graceSeconds } = lease;
  if ([seconds, graceSeconds].some((time) => time !== undefined && !(time > 0)))
    throw new CkptfsError('bad-argument', 'the time of a lease must be above 0');
  if (isToLock(lease)) refuseUnlockable(options, 'so its lease cannot lock it');
}

/** Returns whether a lease was told to lock its mount. */
function isToLock(lease: LeaseTerms | undefined): boolean {
  return lease?.onRevoked === 'lock' || lease?.onUnreachable === 'lock';
}

/** @throws CkptfsError `bad-argument` for a mount that is known not to be one that can be locked */
function refuseUnlockable({ write, transport }: CheckedOptions, soThat: string): void {
  const contrary = write
    ? 'to be written'
    : (transport === 'io-uring' || transport === 'fuse-native') && `by ${transport}`;
  if (contrary === false) return;
  throw new CkptfsError(
    'bad-argument',
    `an image that is mounted ${contrary} cannot be locked, ${soThat}`,
    write ? {} : { data: { reason: 'transport' } },
  );
}

/** @throws CkptfsError `bad-argument`, `missing-feature` */
function checkAccess({ transport, pageFiles, scratch, allowOther, allowRoot }: CheckedOptions): void {
  const isRoot = process.geteuid?.() === 0;
  if (scratch && !isRoot)
    throw new CkptfsError('missing-feature', 'only root can mount with scratch space', { data: { feature: 'root' } });
  if (transport === 'fuse-native' && (scratch || allowRoot)) {
    throw new CkptfsError('bad-argument', 'scratch space and allow_root need the transport kernel');
  }
  if (transport === 'fuse-native' && pageFiles === 'direct') {
    throw new CkptfsError('bad-argument', `with the transport ${transport} no file is read past the page cache`);
  }
  if (allowOther && allowRoot) {
    throw new CkptfsError(
      'bad-argument',
      'allow_other and allow_root exclude each other: allow_other lets root in too',
    );
  }
}

/** @throws CkptfsError `bad-argument` */
function checkWriting(
  { transport, scratch, workers, signedManifest }: CheckedOptions,
  { readOnly }: FuseOptions,
): void {
  const contrary =
    (transport !== 'auto' && transport !== 'kernel' && `the transport ${transport}`) ||
    (scratch && 'scratch space') ||
    (workers !== 1 && `${workers} workers`) ||
    (readOnly && 'the mount option ro');
  if (signedManifest !== undefined) {
    throw new CkptfsError('bad-argument', 'a signature can be demanded of an image that is only read');
  }
  if (contrary === false) return;
  throw new CkptfsError(
    'bad-argument',
    `an image cannot be mounted to be written with ${contrary}: it has one writer, a thread of the transport kernel`,
  );
}

/**
 * Refuses an image below its own mount point, and the contrary: the daemon would wait for itself for ever. So it would
 * for its own socket, which it makes when it serves, and the sockets of other mounts would be hidden.
 * @throws CkptfsError `bad-argument`
 */
function checkApart({ location, mountPoint, remote }: CheckedOptions): void {
  if (wouldHide(mountPoint, location) || wouldHide(location, mountPoint)) {
    throw new CkptfsError(
      'bad-argument',
      `the mount on ${mountPoint} would hide its own image ${nameOf({ location, remote })}`,
      {
        path: mountPoint,
      },
    );
  }
  const state = stateDirectoryPath();
  if (!wouldHide(mountPoint, state)) return;
  throw new CkptfsError(
    'bad-argument',
    `the mount on ${mountPoint} would hide ${state}, where ckptfs finds its mounts`,
    {
      path: mountPoint,
    },
  );
}

/**
 * Returns whether something that is mounted on `mountPoint` hides `path`. Both are only compared with the mount table,
 * because a file system that is mounted there may never answer.
 */
function wouldHide(mountPoint: string, path: string): boolean {
  const mounts = readMountsSync();
  const way = relative(locate(mountPoint, mounts).path, locate(path, mounts).path);
  return way !== '..' && !way.startsWith('../');
}
