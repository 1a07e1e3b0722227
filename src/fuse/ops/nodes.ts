import { Errno } from '../../base/errno.ts';
import { MAX_TARGET_LENGTH } from '../../base/names.ts';
import { fuse_access_in, W_OK } from '../protocol/abi.ts';
import { type Exchange, replyEntry } from '../protocol/exchange.ts';
import type { Attributes, FileSystem } from '../protocol/filesystem.ts';

const DOT = 0x2e;
/** The cookie of ".", see FileSystem.entryAfter. */
const DOT_COOKIE = 1;

/**
 * Answers FUSE_LOOKUP. The answer for a missing name has a time for which the kernel caches it, because restore tools
 * probe hundreds of names that do not exist. The kernel drops that entry itself when it makes, links or renames a node
 * to the name.
 */
export function lookup(exchange: Exchange): number {
  const { fileSystem, request, reply, validSeconds } = exchange;
  const name = request.name(0);
  let found: Attributes;
  try {
    found =
      name[0] === DOT && name.length <= 2
        ? lookupDots(fileSystem, request.node, name)
        : fileSystem.lookup(request.node, name);
  } catch (error) {
    if (error === Errno.of('ENOENT')) return reply.negativeEntry(0, validSeconds);
    throw error;
  }
  return replyEntry(exchange, 0, found);
}

/** Looks up "." or "..", which an NFS server or open_by_handle_at(2) asks for when it has no name of a node. */
function lookupDots(fileSystem: FileSystem, node: number, name: Uint8Array): Attributes {
  if (name.length === 1) return fileSystem.getattr(node);
  if (name[1] !== DOT) return fileSystem.lookup(node, name);
  const parent = fileSystem.entryAfter(node, DOT_COOKIE);
  if (parent === undefined) throw Errno.of('EIO');
  return parent.attributes;
}

/** Answers FUSE_GETATTR. */
export function getattr({ fileSystem, request, reply, validSeconds }: Exchange): number {
  return reply.attributesOut(0, fileSystem.getattr(request.node), validSeconds);
}

/** Answers FUSE_READLINK. */
export function readlink({ fileSystem, request, reply }: Exchange): number {
  const target = fileSystem.readlink(request.node);
  // The kernel accepts no longer one.
  if (target.length > MAX_TARGET_LENGTH) throw Errno.of('ENAMETOOLONG');
  reply.bytes(0, target);
  return target.length;
}

/**
 * Answers FUSE_ACCESS, which the kernel sends only on mounts without `default_permissions`. Mounts of ckptfs have that
 * option, so this refuses only writing to an immutable file system.
 */
export function access({ fileSystem, request }: Exchange): number {
  const mask = request.u32(fuse_access_in.mask);
  fileSystem.getattr(request.node);
  if (fileSystem.immutable && (mask & W_OK) !== 0) throw Errno.of('EROFS');
  return 0;
}
