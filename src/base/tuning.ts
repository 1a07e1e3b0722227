/**
 * The tricks that make ckptfs fast and that a build can leave out: `scripts/build.js` defines a constant CKPTFS_… in
 * the bundled command, and the benchmark measures what each trick gains (scripts/bench/peers/altered.ts). Where a
 * constant is not defined, as in the library, the ordinary value applies.
 */

declare const CKPTFS_POLLS_DEVICE: boolean | undefined;
declare const CKPTFS_CLONES_DEVICE: boolean | undefined;
declare const CKPTFS_READ_AHEAD_KIBIBYTES: number | undefined;
declare const CKPTFS_CALLS_PREAD: boolean | undefined;
declare const CKPTFS_MIN_DEFERRED_WRITE: number | undefined;
declare const CKPTFS_STARTS_DAEMON_EARLY: boolean | undefined;
declare const CKPTFS_MIN_DIRECT_FILE: number | undefined;
declare const CKPTFS_READS_AHEAD: boolean | undefined;
declare const CKPTFS_SERVED_BEFORE_THREADS: number | undefined;
declare const CKPTFS_STOPS_XATTR_REQUESTS: boolean | undefined;

/** Whether a serving thread asks for the next request for a short while before it sleeps. */
export const POLLS_DEVICE: boolean = typeof CKPTFS_POLLS_DEVICE === 'undefined' ? true : CKPTFS_POLLS_DEVICE;

/** Whether each serving thread has descriptors of its own to the FUSE device. */
export const CLONES_DEVICE: boolean = typeof CKPTFS_CLONES_DEVICE === 'undefined' ? true : CKPTFS_CLONES_DEVICE;

/** Four of the largest requests, so that every thread has one while the next is on its way. */
export const READ_AHEAD_KIBIBYTES: number =
  typeof CKPTFS_READ_AHEAD_KIBIBYTES === 'undefined' ? 4096 : CKPTFS_READ_AHEAD_KIBIBYTES;

/** Whether stored bytes are read by pread(2) itself, at half the cost of fs.readSync. */
export const CALLS_PREAD: boolean = typeof CKPTFS_CALLS_PREAD === 'undefined' ? true : CKPTFS_CALLS_PREAD;

/** Bytes of the smallest write that is answered before it is stored. */
export const MIN_DEFERRED_WRITE: number =
  typeof CKPTFS_MIN_DEFERRED_WRITE === 'undefined' ? 65_536 : CKPTFS_MIN_DEFERRED_WRITE;

/** Whether `ckptfs mount` starts its daemon before it parses the command line. */
export const STARTS_DAEMON_EARLY: boolean =
  typeof CKPTFS_STARTS_DAEMON_EARLY === 'undefined' ? true : CKPTFS_STARTS_DAEMON_EARLY;

/** Bytes of the smallest file that may be read past the page cache. Images without one need no request at open(2). */
export const MIN_DIRECT_FILE: number = typeof CKPTFS_MIN_DIRECT_FILE === 'undefined' ? 4 << 20 : CKPTFS_MIN_DIRECT_FILE;

/** Whether serving threads decrypt ahead what is read directly. */
export const READS_AHEAD: boolean = typeof CKPTFS_READS_AHEAD === 'undefined' ? true : CKPTFS_READS_AHEAD;

/**
 * Bytes of contents that the first thread of a daemon serves before the serving threads are started. Starting two takes
 * as much processor time as reading some 300 MiB.
 */
export const SERVED_BEFORE_THREADS: number =
  typeof CKPTFS_SERVED_BEFORE_THREADS === 'undefined' ? 16 << 20 : CKPTFS_SERVED_BEFORE_THREADS;

/** Whether the kernel is told to stop asking for extended attributes where an image has none. */
export const STOPS_XATTR_REQUESTS: boolean =
  typeof CKPTFS_STOPS_XATTR_REQUESTS === 'undefined' ? true : CKPTFS_STOPS_XATTR_REQUESTS;
