import { CkptfsError } from '../base/errors.ts';
import {
  FUSE_ASYNC_DIO,
  FUSE_ASYNC_READ,
  FUSE_BIG_WRITES,
  FUSE_CACHE_SYMLINKS,
  FUSE_DO_READDIRPLUS,
  FUSE_EXPORT_SUPPORT,
  FUSE_HANDLE_KILLPRIV_V2,
  FUSE_KERNEL_MINOR_VERSION,
  FUSE_KERNEL_VERSION,
  FUSE_MAX_PAGES,
  FUSE_PARALLEL_DIROPS,
  fuse_init_in,
  fuse_init_out,
  fuse_kstatfs,
  oldestMinorVersion,
} from './abi.ts';
import type { Exchange } from './exchange.ts';

const pageSize = 4096;

/** Requests of read-ahead and asynchronous I/O that the kernel keeps in flight, and from where on it calls us congested. */
const maxBackground = 64;
const congestionThreshold = 48;

/**
 * EXPORT_SUPPORT holds because lookup answers "." and ".." of any node. READDIRPLUS_AUTO stays off: attributes are at hand
 * anyway, and plain READDIR would cost a LOOKUP per name afterwards. CACHE_SYMLINKS holds because a link keeps its target, and no other
 * node ever has its number.
 */
const wantedFlags =
  FUSE_ASYNC_READ |
  FUSE_EXPORT_SUPPORT |
  FUSE_BIG_WRITES |
  FUSE_DO_READDIRPLUS |
  FUSE_ASYNC_DIO |
  FUSE_PARALLEL_DIROPS |
  FUSE_MAX_PAGES |
  FUSE_CACHE_SYMLINKS;

/**
 * What is wanted besides where files can be written. HANDLE_KILLPRIV_V2: the file system itself takes set-user-id away when told to, so
 * the kernel need not ask for the extended attribute `security.capability` before every write; kernels before Linux 5.11 do.
 *
 * Not wanted there:
 * - WRITEBACK_CACHE: write(2) would return before anything is sent, and errors would come at fsync(2) or close(2), where few look;
 * - POSIX_LOCKS, FLOCK_LOCKS: the kernel keeps locks itself, and all users of the mount are its own;
 * - ATOMIC_O_TRUNC: there is no OPEN to carry it, see {@link open};
 * - AUTO_INVAL_DATA: nobody else changes files;
 * - POSIX_ACL, DONT_MASK, SECURITY_CTX, SETXATTR_EXT: only `user.` attributes are kept;
 * - DIRECT_IO_ALLOW_MMAP: it is about FOPEN_DIRECT_IO, which is never set; O_DIRECT and mappings go together without.
 */
const wantedForWriting = FUSE_HANDLE_KILLPRIV_V2;

/** FUSE_INIT: agrees on the version and on what both sides can do. The header's comment "Version negotiation" has the rules. */
export function init({ fileSystem, request, reply }: Exchange): number {
  const major = request.u32(fuse_init_in.major);
  const minor = request.u32(fuse_init_in.minor);
  if (major < FUSE_KERNEL_VERSION || (major === FUSE_KERNEL_VERSION && minor < oldestMinorVersion)) {
    throw new CkptfsError(
      'missing-feature',
      `the kernel speaks version ${major}.${minor} of the FUSE protocol; ` +
        `${FUSE_KERNEL_VERSION}.${oldestMinorVersion} (Linux 5.4) or newer is needed`,
    );
  }
  reply.zeros(0, fuse_init_out.sizeof);
  reply.u32(fuse_init_out.major, FUSE_KERNEL_VERSION);
  reply.u32(fuse_init_out.minor, FUSE_KERNEL_MINOR_VERSION);
  // A kernel of a later major version now asks again, in version 7.
  if (major > FUSE_KERNEL_VERSION) return fuse_init_out.sizeof;

  const offered = request.u32(fuse_init_in.flags);
  const wanted = fileSystem.immutable ? wantedFlags : wantedFlags | wantedForWriting;
  reply.u32(fuse_init_out.minor, Math.min(minor, FUSE_KERNEL_MINOR_VERSION));
  // The kernel takes the smaller of this and the read-ahead of the mount's bdi, which root may already have raised.
  reply.u32(fuse_init_out.max_readahead, reply.capacity);
  reply.u32(fuse_init_out.flags, offered & wanted);
  reply.u16(fuse_init_out.max_background, maxBackground);
  reply.u16(fuse_init_out.congestion_threshold, congestionThreshold);
  reply.u32(fuse_init_out.max_write, reply.capacity);
  reply.u32(fuse_init_out.time_gran, 1);
  reply.u16(fuse_init_out.max_pages, reply.capacity / pageSize);
  return fuse_init_out.sizeof;
}

/** FUSE_STATFS. */
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

/** An operation that asks for nothing but an answer: FUSE_DESTROY, FUSE_RELEASE, FUSE_RELEASEDIR. */
export function acknowledge(): number {
  return 0;
}
