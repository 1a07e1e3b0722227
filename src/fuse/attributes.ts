import {
  FATTR_ATIME,
  FATTR_ATIME_NOW,
  FATTR_GID,
  FATTR_KILL_SUIDGID,
  FATTR_MODE,
  FATTR_MTIME,
  FATTR_MTIME_NOW,
  FATTR_SIZE,
  FATTR_UID,
  fuse_setattr_in,
} from './abi.ts';
import type { WritingExchange } from './exchange.ts';
import { type AttributeChanges, Errno, type Time } from './filesystem.ts';
import type { Request } from './request.ts';

const permissions = 0o7777;
const nanosecondsPerSecond = 1e9;

/**
 * Answers FUSE_SETATTR: chmod, chown, truncate, utimes, and open with O_TRUNC. File handles are passed over, and so is the ctime, which
 * the kernel gives only when it keeps times itself. The kernel resolves UTIME_OMIT, and checks who may do what.
 */
export function setattr({ fileSystem, request, reply, validSeconds }: WritingExchange): number {
  return reply.attributesOut(0, fileSystem.setattr(request.node, changesOf(request)), validSeconds);
}

function changesOf(request: Request): AttributeChanges {
  const valid = request.u32(fuse_setattr_in.valid);
  const says = (bit: number): boolean => (valid & bit) !== 0;
  return {
    ...(says(FATTR_MODE) && { mode: request.u32(fuse_setattr_in.mode) & permissions }),
    ...(says(FATTR_UID) && { uid: request.u32(fuse_setattr_in.uid) }),
    ...(says(FATTR_GID) && { gid: request.u32(fuse_setattr_in.gid) }),
    ...(says(FATTR_SIZE) && { size: request.u64(fuse_setattr_in.size, 'EFBIG') }),
    ...(says(FATTR_ATIME) && { atime: says(FATTR_ATIME_NOW) ? 'now' : timeOf(request, 'atime') }),
    ...(says(FATTR_MTIME) && { mtime: says(FATTR_MTIME_NOW) ? 'now' : timeOf(request, 'mtime') }),
    ...(says(FATTR_KILL_SUIDGID) && { killPrivileges: true }),
  };
}

function timeOf(request: Request, which: 'atime' | 'mtime'): Time {
  const seconds = request.s64(fuse_setattr_in[which]);
  const nanoseconds = request.u32(fuse_setattr_in[`${which}nsec`]);
  if (nanoseconds >= nanosecondsPerSecond) throw Errno.of('EINVAL');
  return { seconds, nanoseconds };
}
