import { Errno } from '../../base/errno.ts';
import {
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  FALLOC_FL_ZERO_RANGE,
  FUSE_WRITE_KILL_SUIDGID,
  fuse_fallocate_in,
  fuse_write_in,
  fuse_write_out,
} from '../protocol/abi.ts';
import type { WritingExchange } from '../protocol/exchange.ts';
import type { AllocateMode } from '../protocol/filesystem.ts';

/** Answers FUSE_WRITE. The file system takes the data straight from the request, and writes all of it or none. */
export function write({ fileSystem, request, reply }: WritingExchange): number {
  const offset = request.u64(fuse_write_in.offset, 'EFBIG');
  const size = request.u32(fuse_write_in.size);
  const killPrivileges = (request.u32(fuse_write_in.write_flags) & FUSE_WRITE_KILL_SUIDGID) !== 0;
  if (size > reply.capacity) throw Errno.of('EINVAL');
  const start = request.data(fuse_write_in.sizeof, size);
  if (size > 0) {
    checkEnd(offset, size);
    fileSystem.write(request.node, offset, size, request.memory, start, killPrivileges);
  }
  reply.u32(fuse_write_out.size, size);
  reply.u32(fuse_write_out.padding, 0);
  return fuse_write_out.sizeof;
}

/**
 * Answers FUSE_FALLOCATE. The kernel does not say whether the caller may change a file and leave its set-user-id bit,
 * and with FUSE_HANDLE_KILLPRIV_V2 does not clear the bit itself. Root may leave it.
 */
export function fallocate({ fileSystem, request }: WritingExchange): number {
  const offset = request.u64(fuse_fallocate_in.offset, 'EFBIG');
  const length = request.u64(fuse_fallocate_in.length, 'EFBIG');
  const how = allocateMode(request.u32(fuse_fallocate_in.mode));
  if (length === 0) throw Errno.of('EINVAL');
  checkEnd(offset, length);
  fileSystem.allocate(request.node, offset, length, how, request.uid !== 0);
  return 0;
}

function allocateMode(mode: number): AllocateMode {
  switch (mode) {
    case 0:
      return 'extend';
    case FALLOC_FL_KEEP_SIZE:
      return 'keep-size';
    case FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE:
      return 'punch-hole';
    case FALLOC_FL_ZERO_RANGE:
      return 'zero';
    case FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE:
      return 'zero-keep-size';
    default:
      throw Errno.of('EOPNOTSUPP');
  }
}

function checkEnd(offset: number, length: number): void {
  if (offset + length > Number.MAX_SAFE_INTEGER) throw Errno.of('EFBIG');
}
