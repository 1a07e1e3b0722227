import {
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
 * FUSE_SETATTR: chmod, chown, truncate, utimes, and open with O_TRUNC. What it says of atime and ctime, and of file handles, is
 * passed over.
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
    ...(says(FATTR_MTIME) && { mtime: says(FATTR_MTIME_NOW) ? 'now' : mtimeOf(request) }),
    ...(says(FATTR_KILL_SUIDGID) && { killPrivileges: true }),
  };
}

function mtimeOf(request: Request): Time {
  const seconds = request.s64(fuse_setattr_in.mtime);
  const nanoseconds = request.u32(fuse_setattr_in.mtimensec);
  if (nanoseconds >= nanosecondsPerSecond) throw Errno.of('EINVAL');
  return { seconds, nanoseconds };
}
