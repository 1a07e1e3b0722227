import { Errno } from '../../base/errno.ts';
import { fuse_getxattr_in, fuse_getxattr_out, fuse_setxattr_in, XATTR_CREATE, XATTR_REPLACE } from '../protocol/abi.ts';
import type { Exchange, WritingExchange } from '../protocol/exchange.ts';

/** Answers FUSE_GETXATTR with the value, or only with its size when the caller's buffer has size 0, see getxattr(2). */
export function getxattr({ fileSystem, request, reply }: Exchange): number {
  const room = request.u32(fuse_getxattr_in.size);
  const value = fileSystem.getxattr(request.node, request.attribute(fuse_getxattr_in.sizeof));
  if (room === 0) return sizeOnly(reply, value.length);
  checkRoom(value.length, room, reply.capacity);
  reply.bytes(0, value);
  return value.length;
}

/** Answers FUSE_LISTXATTR with all names, each ended by a NUL, or only with their size, see listxattr(2). */
export function listxattr({ fileSystem, request, reply }: Exchange): number {
  const room = request.u32(fuse_getxattr_in.size);
  const names = fileSystem.listxattr(request.node);
  const total = names.reduce((sum, name) => sum + name.length + 1, 0);
  if (room === 0) return sizeOnly(reply, total);
  checkRoom(total, room, reply.capacity);
  let at = 0;
  for (const name of names) {
    reply.bytes(at, name);
    reply.zeros(at + name.length, 1);
    at += name.length + 1;
  }
  return total;
}

/** Answers FUSE_SETXATTR, in the form without FUSE_SETXATTR_EXT, which ckptfs does not request. */
export function setxattr({ fileSystem, request }: WritingExchange): number {
  const size = request.u32(fuse_setxattr_in.size);
  const flags = request.u32(fuse_setxattr_in.flags);
  const name = request.firstAttribute(fuse_setxattr_in.sizeof);
  const start = request.data(fuse_setxattr_in.sizeof + name.length + 1, size);
  const value = request.memory.bytes.subarray(start, start + size);
  fileSystem.setxattr(request.node, name, value, modeOf(flags));
  return 0;
}

function modeOf(flags: number): 'any' | 'create' | 'replace' {
  if (flags === 0) return 'any';
  if (flags === XATTR_CREATE) return 'create';
  if (flags === XATTR_REPLACE) return 'replace';
  throw Errno.of('EINVAL');
}

/** Answers FUSE_REMOVEXATTR. */
export function removexattr({ fileSystem, request }: WritingExchange): number {
  fileSystem.removexattr(request.node, request.attribute(0));
  return 0;
}

function sizeOnly(reply: Exchange['reply'], size: number): number {
  reply.u32(fuse_getxattr_out.size, size);
  reply.u32(fuse_getxattr_out.padding, 0);
  return fuse_getxattr_out.sizeof;
}

function checkRoom(size: number, room: number, capacity: number): void {
  if (size > room || size > capacity) throw Errno.of('ERANGE');
}
