import type { ErrorCode } from '../../base/errors.ts';
import { type PageFiles, pageFileChoices } from '../../fs/direct-opens.ts';
import type { MadeImage } from '../../image/discard-image.ts';
import type { EphemeralImage } from '../../image/writable/open-ephemeral.ts';
import type { ImagePlace, StoreIdentity } from '../../stores/store.ts';
import type { LeaseTerms } from '../leases/terms.ts';
import { type LogFormat, logFormats } from '../mounts/log-format.ts';

/**
 * - `auto`: `io-uring` for a mount that is only read, where root has switched it on; otherwise `kernel`.
 * - `kernel`: the kernel's own protocol, through /dev/fuse.
 * - `io-uring`: the same protocol, over io_uring.
 * - `fuse-native`: the package of that name.
 */
export const transports = ['auto', 'kernel', 'io-uring', 'fuse-native'] as const;
export type Transport = (typeof transports)[number];

/** What serves a mount. */
export type ServingTransport = Exclude<Transport, 'auto'>;

export { type LogFormat, logFormats, pageFileChoices };

/** A directory that CRIU encrypted, or several in a common one. */
export interface CriuConfig {
  /** 32 hexadecimal digits. The daemon serves no other. */
  readonly imageId: string;
  /** Bytes of its secrets, which come in place of the image key. */
  readonly secretsSize: number;
}

/** An image in a remote store, of which a process fetches blocks as they are read. */
export interface RemoteConfig {
  /** What the user calls the image, and so do messages. */
  readonly url: string;
  /** The absolute path of the socket of the process that fetches. */
  readonly socket: string;
  /** The absolute path of the cache. */
  readonly cache: string;
}

/** What a daemon is to serve, and how. It gets this before the image key. Contains no secret. */
export interface DaemonConfig {
  /** The absolute path at which the command found the image. */
  readonly location: string;
  /** The directory that was there. The daemon serves no other. */
  readonly image: StoreIdentity;
  /** Set for an image in a remote store: its header and manifest are at `location`. Not with `write` and `criu`. */
  readonly remote?: RemoteConfig | undefined;
  /** Set for a directory that CRIU encrypted: what the command has opened there. Not with `write`. */
  readonly criu?: CriuConfig | undefined;
  /** An absolute path. */
  readonly mountPoint: string;
  /** Leads to the mount point, which the command holds, where an automounter waits for the mount. */
  readonly automount?: string;
  readonly transport: Transport;
  readonly workers: number;
  /** In bytes, of all workers together. */
  readonly cacheSize: number;
  readonly pageFiles: PageFiles;
  /**
   * Permission bits that the root directory gets instead of those in the image. On a writable mount this is a chmod.
   */
  readonly rootMode?: number | undefined;
  readonly allowOther: boolean;
  readonly allowRoot: boolean;
  readonly noExec: boolean;
  readonly scratch: boolean;
  /** Lets files be changed: the daemon is the only writer of the image, and seals it when the mount is gone. */
  readonly write: boolean;
  /** With `write`: the image is new, and not sealed but removed when the mount is gone. */
  readonly ephemeral?: EphemeralImage | undefined;
  /** SHA-256, in hexadecimal, of the only manifest that is served: the one whose signature was verified. */
  readonly signedManifest?: string | undefined;
  /** An absolute path or `syslog`, and the version of ckptfs to note there. */
  readonly auditLog?: { readonly target: string; readonly version: string } | undefined;
  /** The mount locks itself after so long. */
  readonly keyTtlSeconds?: number | undefined;
  /** For how long the key may be used, where it can be asked again. */
  readonly lease?: LeaseTerms | undefined;
  /** Set where a FIPS provider of OpenSSL computes in the command: the daemon serves by such a one alone. */
  readonly fipsProvider?: true;
  /** The source that mount tables show. */
  readonly fsName: string;
  /** The absolute path of the daemon's log. Undefined in the foreground: the log is then standard error alone. */
  readonly logFile?: string;
  readonly logFormat: LogFormat;
  /** Makes the daemon detach the mount and end when the process that started it ends. */
  readonly endWithCaller?: boolean;
  /** The pid of a process: when it has ended, and nothing has unmounted for a while, the daemon detaches the mount. */
  readonly endWithProcess?: number;
  /** Only in the foreground: the pid of the process that unlocks the key, a child of the daemon. */
  readonly unlocker?: number;
  /** Only in the foreground: the exit code for each error that keeps it from serving or from sealing; 1 for others. */
  readonly exitCodes?: Readonly<Partial<Record<ErrorCode, number>>>;
  /** Only in the foreground: an image that was made for this mount. It is removed again when it cannot be served. */
  readonly made?: MadeImage;
  /** Only in the foreground: the socket of the service manager that waits to hear when the mount serves and ends. */
  readonly notifySocket?: string;
  /** Only for tests: how long to stay after everything was wiped, so that they can look at what memory still holds. */
  readonly lingerSeconds?: number;
}

/** Returns SHA-256 of the only manifest that may be served; undefined when any authentic one may. */
export function signedManifestOf({ signedManifest }: DaemonConfig): Uint8Array | undefined {
  return signedManifest === undefined ? undefined : Uint8Array.from(Buffer.from(signedManifest, 'hex'));
}

/** Returns what a user calls the image. */
export function nameOf({ location, remote }: Pick<DaemonConfig, 'location' | 'remote'>): string {
  return remote?.url ?? location;
}

/** Returns what its store is opened by. */
export function placeOf({ location, remote }: Pick<DaemonConfig, 'location' | 'remote'>): ImagePlace {
  return remote === undefined ? location : { path: location, name: remote.url };
}
