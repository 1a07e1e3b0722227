import { constants } from 'node:fs';
import { Errno } from '../../base/errno.ts';
import {
  FOPEN_CACHE_DIR,
  FOPEN_DIRECT_IO,
  FOPEN_KEEP_CACHE,
  FOPEN_NOFLUSH,
  fuse_lseek_in,
  fuse_lseek_out,
  fuse_open_in,
  fuse_open_out,
  fuse_read_in,
  fuse_release_in,
  O_ACCMODE,
  O_RDONLY,
  O_TRUNC,
  SEEK_DATA,
  SEEK_HOLE,
} from '../protocol/abi.ts';
import { Counter, count } from '../protocol/counters.ts';
import type { Exchange } from '../protocol/exchange.ts';
import { isWritable } from '../protocol/filesystem.ts';
import type { Reply } from '../protocol/reply.ts';

const { O_DIRECT } = constants;

/** The file handle of opens that need none. */
const NO_HANDLE = 0;

/**
 * Answers FUSE_OPEN. The answer is ENOSYS, once: from then on the kernel opens files without asking, keeps their cached
 * pages (as with FOPEN_KEEP_CACHE) and allows O_DIRECT. O_TRUNC comes as SETATTR in any case. The answer is a success
 * instead where only one user is served, because the user is checked at each OPEN, and where the file system decides
 * how files are read. KEEP_CACHE comes with DIRECT_IO as well: without it the kernel would drop pages that others use.
 * With NOFLUSH (Linux 5.16) a process that is killed ends at once: no signal interrupts its waiting for the answer to
 * a FLUSH, which would not come while all threads wait for a remote store.
 */
export function open(exchange: Exchange): number {
  const { fileSystem, request, reply } = exchange;
  const flags = request.u32(fuse_open_in.flags);
  const writing = (flags & O_ACCMODE) !== O_RDONLY || (flags & O_TRUNC) !== 0;
  if (writing && fileSystem.immutable) throw Errno.of('EROFS');
  const cacheFlags = fileSystem.immutable ? FOPEN_KEEP_CACHE | FOPEN_NOFLUSH : FOPEN_KEEP_CACHE;
  if (fileSystem.opensDirect === undefined) return opened(exchange, cacheFlags);
  // With O_DIRECT the kernel passes its cache by anyway, and sends all requests of a read at once, which it does not do
  // with FOPEN_DIRECT_IO.
  const isDirect = (flags & O_DIRECT) === 0 && fileSystem.opensDirect(request.node, request.thread());
  if (!isDirect) return replyOpened(reply, 0, cacheFlags);
  const handle = exchange.readAhead?.opened(request.node) ?? NO_HANDLE;
  return replyOpened(reply, 0, cacheFlags | FOPEN_DIRECT_IO, handle);
}

/** Answers FUSE_RELEASE, which comes when the last descriptor of an OPEN is closed. No process waits for the answer. */
export function release({ request, readAhead }: Exchange): number {
  if (readAhead === undefined) return 0;
  const handle = request.u64(fuse_release_in.fh);
  if (handle !== NO_HANDLE) readAhead.closed(handle);
  return 0;
}

/**
 * Answers FUSE_OPENDIR like {@link open}; the listing stays cached as well (as with FOPEN_CACHE_DIR). The kernel drops
 * it when it changes the directory.
 */
export function openDirectory(exchange: Exchange): number {
  return opened(exchange, FOPEN_KEEP_CACHE | FOPEN_CACHE_DIR);
}

function opened({ reply, onlyUid }: Exchange, cacheFlags: number): number {
  if (onlyUid === undefined) throw Errno.of('ENOSYS');
  return replyOpened(reply, 0, cacheFlags);
}

/** Writes struct fuse_open_out into the reply; only files that are read ahead need a handle. Returns its size. */
export function replyOpened(reply: Reply, at: number, cacheFlags: number, handle = NO_HANDLE): number {
  reply.u64(at + fuse_open_out.fh, handle);
  reply.u32(at + fuse_open_out.open_flags, cacheFlags);
  reply.u32(at + fuse_open_out.padding, 0);
  return fuse_open_out.sizeof;
}

/** Answers FUSE_READ. The file system writes the bytes straight into the reply, unless they were read ahead. */
export function read({ fileSystem, request, reply, counters, readAhead }: Exchange): number {
  const offset = request.u64(fuse_read_in.offset);
  const size = request.u32(fuse_read_in.size);
  if (size > reply.capacity) throw Errno.of('EINVAL');
  const handle = readAhead === undefined ? NO_HANDLE : request.u64(fuse_read_in.fh);
  const length =
    readAhead === undefined || handle === NO_HANDLE
      ? fileSystem.read(request.node, offset, size, reply.memory, reply.bodyOffset)
      : readAhead.read(handle, request.node, offset, size, reply);
  if (!Number.isInteger(length) || length < 0 || length > size) {
    throw new RangeError(`the file system returned ${length} bytes where ${size} were asked for`);
  }
  count(counters, Counter.bytesRead, length);
  return length;
}

/** Answers FUSE_LSEEK. The kernel sends only SEEK_DATA and SEEK_HOLE. A negative offset arrives as a very large one. */
export function lseek({ fileSystem, request, reply }: Exchange): number {
  const whence = request.u32(fuse_lseek_in.whence);
  if (whence !== SEEK_DATA && whence !== SEEK_HOLE) throw Errno.of('EINVAL');
  const offset = request.u64(fuse_lseek_in.offset, 'ENXIO');
  reply.u64(fuse_lseek_out.offset, fileSystem.seek(request.node, offset, whence === SEEK_DATA ? 'data' : 'hole'));
  return fuse_lseek_out.sizeof;
}

/**
 * Answers FUSE_FLUSH, which the kernel sends at every close(2). An immutable file system answers ENOSYS, which means
 * success and that the kernel need not ask again.
 */
export function flush({ fileSystem, request }: Exchange): number {
  if (!isWritable(fileSystem)) throw Errno.of('ENOSYS');
  fileSystem.flush(request.node);
  return 0;
}

/** Answers FUSE_FSYNC and FUSE_FSYNCDIR, with ENOSYS like {@link flush}. fdatasync(2) does as much as fsync(2). */
export function sync({ fileSystem, request }: Exchange): number {
  if (!isWritable(fileSystem)) throw Errno.of('ENOSYS');
  fileSystem.sync(request.node);
  return 0;
}
