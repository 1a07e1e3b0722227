import { fuse_getxattr_in, fuse_getxattr_out, fuse_setxattr_in, XATTR_CREATE, XATTR_REPLACE } from './abi.ts';
import type { Exchange, WritingExchange } from './exchange.ts';
import { Errno } from './filesystem.ts';

/** FUSE_GETXATTR: the value, or only its size when the caller has no room yet (size 0), see getxattr(2). */
export function getxattr({ fileSystem, request, reply }: Exchange): number {
  const room = request.u32(fuse_getxattr_in.size);
  const value = fileSystem.getxattr(request.node, request.attribute(fuse_getxattr_in.sizeof));
  if (room === 0) return sizeOnly(reply, value.length);
  checkRoom(value.length, room, reply.capacity);
  reply.bytes(0, value);
  return value.length;
}

/** FUSE_LISTXATTR: all names, each with a NUL behind it, or only their size, see listxattr(2). */
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

/** FUSE_SETXATTR. Of its two forms the one without flags of its own, since we do not ask for FUSE_SETXATTR_EXT. */
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

/** FUSE_REMOVEXATTR. */
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
