import type { ErrorCode } from '../../base/errors.ts';
import type { MadeImage } from '../../image/discard-image.ts';
import type { StoreIdentity } from '../../stores/store.ts';

export const transports = ['kernel', 'fuse-native'] as const;
export type Transport = (typeof transports)[number];

/** What a daemon is told before it gets the image key. Holds no secret. */
export interface DaemonConfig {
  /** Of the image, absolute: where it was when the command looked at it. */
  readonly location: string;
  /** Which directory that was: the daemon serves no other. */
  readonly image: StoreIdentity;
  /** Absolute. */
  readonly mountPoint: string;
  readonly transport: Transport;
  readonly workers: number;
  /** Bytes, of all workers together. */
  readonly cacheSize: number;
  /** Permission bits of the root directory, where they are not to be those of the image. On a mount that writes this is a chmod. */
  readonly rootMode?: number | undefined;
  readonly allowOther: boolean;
  readonly allowRoot: boolean;
  readonly noExec: boolean;
  readonly scratch: boolean;
  /** Let files be changed: the daemon is the image's one writer, and seals it when the mount is gone. */
  readonly write: boolean;
  /** What mount tables name as the source. */
  readonly fsName: string;
  /** What the daemon opens to log to, absolute. Undefined in the foreground: the log then is standard error alone. */
  readonly logFile?: string;
  /** Detach the mount and end when whoever started the daemon ends. */
  readonly endWithCaller?: boolean;
  /** Only in the foreground: the process that unlocks the key, a child of the daemon's. */
  readonly unlocker?: number;
  /** Only in the foreground: the exit code for each fault that keeps it from serving or from sealing; 1 for those not named. */
  readonly exitCodes?: Readonly<Partial<Record<ErrorCode, number>>>;
  /** Only in the foreground: an image that was made for this mount alone, to be taken back when it cannot be served. */
  readonly made?: MadeImage;
  /** Only in the foreground: the socket of a service manager that wants to be told when the mount serves and when it ends. */
  readonly notifySocket?: string;
  /** For tests alone: stay this long after everything was wiped, so that what is left in memory can be looked at. */
  readonly lingerSeconds?: number;
}

/**
 * Descriptors of the daemon, sockets both: what it is told, and over which it sends the other end of the channel for the key; and where it
 * reports, line by line.
 */
export const ORDERS_FD = 3;
export const REPORT_FD = 4;

/** Descriptors of a daemon that was started apart from the mount namespace of its caller: that namespace, and the root directory in it. */
export const CALLER_NAMESPACE_FD = 5;
export const CALLER_ROOT_FD = 6;

/** The daemon's first line: it is hardened, and has sent the other end of the channel for the key. */
export const HARDENED = 'hardened';

/** Bytes of the u32, little-endian, that says how long the configuration is. */
export const CONFIG_LENGTH_SIZE = 4;

/** The daemon's second line, unless that is the error that it met. */
export interface ReadyReport {
  readonly ok: true;
  readonly pid: number;
  /** As mount tables have it. */
  readonly mountPoint: string;
  /** `MAJOR:MINOR` of what is visible at the mount point. */
  readonly device: string;
  /** 32 hexadecimal digits. */
  readonly imageId: string;
  /** What whoever mounts should know. */
  readonly warnings: readonly string[];
}
