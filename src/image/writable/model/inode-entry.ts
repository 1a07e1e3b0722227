import type { InodeEntry, JournalInode } from '../../../format/journal.ts';
import type { Extent, Inode, InodeMetadata } from '../../../format/manifest.ts';
import type { LiveInode, LiveMetadata } from './live-inode.ts';

/** An inode as it is now, for the journal. */
export function inodeEntry(inode: LiveInode): InodeEntry {
  return { kind: 'inode', inode: inode.number, value: inodeValue(inode) };
}

/** Everything of an inode but what it holds. */
function inodeValue(inode: LiveInode): JournalInode {
  const metadata = metadataOf(inode);
  const { type } = inode;
  if (type === 'file') return { type, ...metadata, open: inode.open, lost: inode.lost, size: inode.size };
  if (type === 'symlink') return { type, ...metadata, target: inode.target };
  return { type, ...metadata };
}

/** An inode as it is now, for a manifest. @param extents what it holds, if it is a file */
export function manifestInode(inode: LiveInode, extents: readonly Extent[]): Inode {
  const metadata = metadataOf(inode);
  const { type } = inode;
  if (type === 'file') return { type, ...metadata, size: inode.size, extents };
  if (type === 'symlink') return { type, ...metadata, target: inode.target };
  return { type, ...metadata };
}

/** A copy of what all inodes have. */
export function metadataOf({ mode, uid, gid, atime, mtime, ctime, xattrs }: LiveMetadata): InodeMetadata {
  return { mode, uid, gid, atime, mtime, ctime, xattrs };
}
