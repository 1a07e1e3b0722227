import { fuse_getxattr_in, fuse_getxattr_out } from './abi.ts';
import type { Exchange } from './exchange.ts';
import { Errno } from './filesystem.ts';

/** FUSE_GETXATTR: the value, or only its size when the caller has no room yet (size 0), see getxattr(2). */
export function getxattr({ fileSystem, request, reply }: Exchange): number {
  const room = request.u32(fuse_getxattr_in.size);
  const value = fileSystem.getxattr(request.node, request.name(fuse_getxattr_in.sizeof));
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

function sizeOnly(reply: Exchange['reply'], size: number): number {
  reply.u32(fuse_getxattr_out.size, size);
  reply.u32(fuse_getxattr_out.padding, 0);
  return fuse_getxattr_out.sizeof;
}

function checkRoom(size: number, room: number, capacity: number): void {
  if (size > room || size > capacity) throw Errno.of('ERANGE');
}
