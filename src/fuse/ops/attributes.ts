import { Errno } from '../../base/errno.ts';
import type { Time } from '../../base/time.ts';
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
} from '../protocol/abi.ts';
import type { WritingExchange } from '../protocol/exchange.ts';
import type { AttributeChanges } from '../protocol/filesystem.ts';
import type { Request } from '../protocol/request.ts';

const PERMISSIONS = 0o7777;
const NANOSECONDS_PER_SECOND = 1e9;

/**
 * Answers FUSE_SETATTR: chmod, chown, truncate, utimes, and open with O_TRUNC. It ignores file handles, and the ctime,
 * which the kernel sends only when it keeps times itself. The kernel resolves UTIME_OMIT and checks PERMISSIONS.
 */
export function setattr({ fileSystem, request, reply, validSeconds }: WritingExchange): number {
  return reply.attributesOut(0, fileSystem.setattr(request.node, changesOf(request)), validSeconds);
}

function changesOf(request: Request): AttributeChanges {
  const valid = request.u32(fuse_setattr_in.valid);
  const isSet = (bit: number): boolean => (valid & bit) !== 0;
  return {
    ...(isSet(FATTR_MODE) && { mode: request.u32(fuse_setattr_in.mode) & PERMISSIONS }),
    ...(isSet(FATTR_UID) && { uid: request.u32(fuse_setattr_in.uid) }),
    ...(isSet(FATTR_GID) && { gid: request.u32(fuse_setattr_in.gid) }),
    ...(isSet(FATTR_SIZE) && { size: request.u64(fuse_setattr_in.size, 'EFBIG') }),
    ...(isSet(FATTR_ATIME) && { atime: isSet(FATTR_ATIME_NOW) ? 'now' : timeOf(request, 'atime') }),
    ...(isSet(FATTR_MTIME) && { mtime: isSet(FATTR_MTIME_NOW) ? 'now' : timeOf(request, 'mtime') }),
    ...(isSet(FATTR_KILL_SUIDGID) && { killPrivileges: true }),
  };
}

function timeOf(request: Request, which: 'atime' | 'mtime'): Time {
  const seconds = request.s64(fuse_setattr_in[which]);
  const nanoseconds = request.u32(fuse_setattr_in[`${which}nsec`]);
  if (nanoseconds >= NANOSECONDS_PER_SECOND) throw Errno.of('EINVAL');
  return { seconds, nanoseconds };
}
