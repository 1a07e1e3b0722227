import { fuse_access_in, W_OK } from './abi.ts';
import { type Exchange, tellEntry } from './exchange.ts';
import { type Attributes, Errno, type FileSystem } from './filesystem.ts';

const dot = 0x2e;
/** See FileSystem.entryAfter. */
const dotCookie = 1;

/** PATH_MAX of limits.h: what the kernel takes as the target of a symbolic link, without its NUL. */
const longestTarget = 4095;

/**
 * FUSE_LOOKUP. A missing name is answered as such with a time to remember it for: restore tools probe hundreds of names that do not
 * exist. The kernel forgets that itself when it has something made, linked or renamed under the name.
 */
export function lookup(exchange: Exchange): number {
  const { fileSystem, request, reply, validSeconds } = exchange;
  const name = request.name(0);
  let found: Attributes;
  try {
    found =
      name[0] === dot && name.length <= 2
        ? lookupDots(fileSystem, request.node, name)
        : fileSystem.lookup(request.node, name);
  } catch (error) {
    if (error === Errno.of('ENOENT')) return reply.negativeEntry(0, validSeconds);
    throw error;
  }
  return tellEntry(exchange, 0, found);
}

/** A server of NFS, or open_by_handle_at(2), asks for "." of any node and for ".." of a directory it has no name of. */
function lookupDots(fileSystem: FileSystem, node: number, name: Uint8Array): Attributes {
  if (name.length === 1) return fileSystem.getattr(node);
  if (name[1] !== dot) return fileSystem.lookup(node, name);
  const parent = fileSystem.entryAfter(node, dotCookie);
  if (parent === undefined) throw Errno.of('EIO');
  return parent.attributes;
}

/** FUSE_GETATTR. */
export function getattr({ fileSystem, request, reply, validSeconds }: Exchange): number {
  return reply.attributesOut(0, fileSystem.getattr(request.node), validSeconds);
}

/** FUSE_READLINK. */
export function readlink({ fileSystem, request, reply }: Exchange): number {
  const target = fileSystem.readlink(request.node);
  if (target.length > longestTarget) throw Errno.of('ENAMETOOLONG');
  reply.bytes(0, target);
  return target.length;
}

/**
 * FUSE_ACCESS, which the kernel asks only on mounts without `default_permissions`. Ours have it, so permissions are already
 * checked; left to say is that nothing can be written.
 */
export function access({ fileSystem, request }: Exchange): number {
  const mask = request.u32(fuse_access_in.mask);
  fileSystem.getattr(request.node);
  if (fileSystem.immutable && (mask & W_OK) !== 0) throw Errno.of('EROFS');
  return 0;
}
