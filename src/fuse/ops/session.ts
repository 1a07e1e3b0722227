import { CkptfsError } from '../../base/errors.ts';
import {
  FUSE_ASYNC_DIO,
  FUSE_ASYNC_READ,
  FUSE_BIG_WRITES,
  FUSE_CACHE_SYMLINKS,
  FUSE_DIRECT_IO_ALLOW_MMAP_2,
  FUSE_DO_READDIRPLUS,
  FUSE_EXPORT_SUPPORT,
  FUSE_HANDLE_KILLPRIV_V2,
  FUSE_INIT_EXT,
  FUSE_KERNEL_MINOR_VERSION,
  FUSE_KERNEL_VERSION,
  FUSE_MAX_PAGES,
  FUSE_OVER_IO_URING_2,
  FUSE_PARALLEL_DIROPS,
  fuse_init_in,
  fuse_init_out,
  fuse_kstatfs,
  OLDEST_MINOR_VERSION,
} from '../protocol/abi.ts';
import type { Exchange } from '../protocol/exchange.ts';

const PAGE_SIZE = 4096;

/** The most requests of read-ahead and asynchronous I/O in flight, and the number from which the kernel holds back. */
const MAX_BACKGROUND = 64;
const CONGESTION_THRESHOLD = 48;

/**
 * The flags to request on every mount. EXPORT_SUPPORT is possible because lookup answers "." and ".." of any node.
 * CACHE_SYMLINKS is possible because a link keeps its target, and its number is never reused. READDIRPLUS_AUTO is not
 * requested: attributes cost nothing here, and after a plain READDIR each name would cost a LOOKUP.
 */
const WANTED_FLAGS =
  FUSE_ASYNC_READ |
  FUSE_EXPORT_SUPPORT |
  FUSE_BIG_WRITES |
  FUSE_DO_READDIRPLUS |
  FUSE_ASYNC_DIO |
  FUSE_PARALLEL_DIROPS |
  FUSE_MAX_PAGES |
  FUSE_CACHE_SYMLINKS |
  FUSE_INIT_EXT;

/** Those of the upper half. DIRECT_IO_ALLOW_MMAP: what is opened with FOPEN_DIRECT_IO can be mapped shared, too. */
const WANTED_FLAGS_2 = FUSE_DIRECT_IO_ALLOW_MMAP_2;

/**
 * The flags to request in addition where files can be written. HANDLE_KILLPRIV_V2: the file system itself clears
 * set-user-id when told to, so the kernel need not ask for the extended attribute `security.capability` before every
 * write; kernels before Linux 5.11 do.
 *
 * Not requested:
 * - WRITEBACK_CACHE: write(2) would return before anything is sent, and errors would come at fsync(2) or close(2),
 *   where few programs check;
 * - POSIX_LOCKS, FLOCK_LOCKS: the kernel keeps locks itself, and all users of the mount are local;
 * - ATOMIC_O_TRUNC: there is no OPEN that could carry it, see {@link open};
 * - AUTO_INVAL_DATA: files change only through the mount;
 * - POSIX_ACL, DONT_MASK, SECURITY_CTX, SETXATTR_EXT: only `user.` attributes are kept.
 */
const WANTED_FOR_WRITING = FUSE_HANDLE_KILLPRIV_V2;

/**
 * Answers FUSE_INIT: agrees with the kernel on version and features. The rules are under "Version negotiation" in
 * fuse.h.
 */
export function init({ fileSystem, request, reply, session, wantsRing, onInit }: Exchange): number {
  const major = request.u32(fuse_init_in.major);
  const minor = request.u32(fuse_init_in.minor);
  if (major < FUSE_KERNEL_VERSION || (major === FUSE_KERNEL_VERSION && minor < OLDEST_MINOR_VERSION)) {
    throw new CkptfsError(
      'missing-feature',
      `the kernel speaks version ${major}.${minor} of the FUSE protocol; ` +
        `${FUSE_KERNEL_VERSION}.${OLDEST_MINOR_VERSION} (Linux 5.4) or newer is needed`,
      { data: { feature: 'fuse-protocol' } },
    );
  }
  reply.zeros(0, fuse_init_out.sizeof);
  reply.u32(fuse_init_out.major, FUSE_KERNEL_VERSION);
  reply.u32(fuse_init_out.minor, FUSE_KERNEL_MINOR_VERSION);
  // A kernel of a later major version now sends INIT again, in version 7.
  if (major > FUSE_KERNEL_VERSION) return fuse_init_out.sizeof;

  const offered = request.u32(fuse_init_in.flags);
  const wanted = fileSystem.immutable ? WANTED_FLAGS : WANTED_FLAGS | WANTED_FOR_WRITING;
  reply.u32(fuse_init_out.minor, Math.min(minor, FUSE_KERNEL_MINOR_VERSION));
  // The kernel uses the smaller of this and the read-ahead of the mount's bdi, which root may already have raised.
  reply.u32(fuse_init_out.max_readahead, reply.capacity);
  reply.u32(fuse_init_out.flags, offered & wanted);
  const offered2 = (offered & FUSE_INIT_EXT) !== 0 ? request.u32(fuse_init_in.flags2) : 0;
  const flags2 = offered2 & (wantsRing ? WANTED_FLAGS_2 | FUSE_OVER_IO_URING_2 : WANTED_FLAGS_2);
  reply.u32(fuse_init_out.flags2, flags2);
  session.isDirectCoherent = (flags2 & FUSE_DIRECT_IO_ALLOW_MMAP_2) !== 0;
  reply.u16(fuse_init_out.max_background, MAX_BACKGROUND);
  reply.u16(fuse_init_out.congestion_threshold, CONGESTION_THRESHOLD);
  reply.u32(fuse_init_out.max_write, reply.capacity);
  reply.u32(fuse_init_out.time_gran, 1);
  reply.u16(fuse_init_out.max_pages, reply.capacity / PAGE_SIZE);
  onInit((flags2 & FUSE_OVER_IO_URING_2) !== 0);
  return fuse_init_out.sizeof;
}

/** Answers FUSE_STATFS. */
export function statfs({ fileSystem, reply }: Exchange): number {
  const statistics = fileSystem.statfs();
  reply.zeros(0, fuse_kstatfs.sizeof);
  reply.u64(fuse_kstatfs.blocks, statistics.blocks);
  reply.u64(fuse_kstatfs.bfree, statistics.freeBlocks);
  reply.u64(fuse_kstatfs.bavail, statistics.freeBlocks);
  reply.u64(fuse_kstatfs.files, statistics.files);
  reply.u64(fuse_kstatfs.ffree, statistics.freeFiles);
  reply.u32(fuse_kstatfs.bsize, statistics.blockSize);
  reply.u32(fuse_kstatfs.namelen, statistics.nameMax);
  reply.u32(fuse_kstatfs.frsize, statistics.blockSize);
  return fuse_kstatfs.sizeof;
}

/** Answers an operation that needs no work: FUSE_DESTROY, FUSE_RELEASEDIR. */
export function acknowledge(): number {
  return 0;
}
