import type { Inode, InodeMetadata } from '../format/manifest.ts';
import type { Attributes } from '../fuse/protocol/filesystem.ts';

export const BLOCK_SIZE = 4096;
export const NAME_MAX = 255;
export const DOT = Buffer.from('.');
export const DOT_DOT = Buffer.from('..');
/** Bytes of one of the units of st_blocks. */
const STAT_BLOCK_SIZE = 512;
/** The bits of st_mode for a type: S_IFREG, S_IFDIR, S_IFLNK, S_IFIFO, S_IFSOCK. */
const TYPE_BITS = {
  file: 0o100000,
  directory: 0o040000,
  symlink: 0o120000,
  fifo: 0o010000,
  socket: 0o140000,
} as const satisfies Readonly<Record<Inode['type'], number>>;

type Described = Omit<InodeMetadata, 'xattrs'> &
  (
    | { readonly type: 'file'; readonly size: number }
    | { readonly type: 'directory' | 'fifo' | 'socket' }
    | { readonly type: 'symlink'; readonly target: Uint8Array }
  );

/**
 * Returns what stat(2) says about an inode.
 * @param dataBytes the bytes of a file that are not in holes
 * @param links as in st_nlink
 */
export function attributesOf(node: number, inode: Described, dataBytes: number, links: number): Attributes {
  return {
    node,
    mode: TYPE_BITS[inode.type] | inode.mode,
    size: sizeOf(inode),
    blocks: Math.ceil(dataBytes / STAT_BLOCK_SIZE),
    links,
    uid: inode.uid,
    gid: inode.gid,
    atime: inode.atime,
    mtime: inode.mtime,
    ctime: inode.ctime,
  };
}

/** Returns st_size, which is one block for a directory. */
function sizeOf(inode: Described): number {
  if (inode.type === 'file') return inode.size;
  if (inode.type === 'symlink') return inode.target.length;
  return inode.type === 'directory' ? BLOCK_SIZE : 0;
}
