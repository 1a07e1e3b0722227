import type { InodeEntry, JournalInode } from '../../../format/journal.ts';
import type { Extent, Inode, InodeMetadata } from '../../../format/manifest.ts';
import type { LiveInode, LiveMetadata } from './live-inode.ts';

/** Makes the journal entry of an inode as it is now. */
export function inodeEntry(inode: LiveInode): InodeEntry {
  return { kind: 'inode', inode: inode.number, value: inodeValue(inode) };
}

/** Returns everything of an inode but its contents. */
function inodeValue(inode: LiveInode): JournalInode {
  const metadata = metadataOf(inode);
  const { type } = inode;
  if (type === 'file') return { type, ...metadata, open: inode.open, lost: inode.lost, size: inode.size };
  if (type === 'symlink') return { type, ...metadata, target: inode.target };
  return { type, ...metadata };
}

/** Returns an inode as it is now, for a manifest. @param extents the contents, if it is a file */
export function manifestInode(inode: LiveInode, extents: readonly Extent[]): Inode {
  const metadata = metadataOf(inode);
  const { type } = inode;
  if (type === 'file') return { type, ...metadata, size: inode.size, extents };
  if (type === 'symlink') return { type, ...metadata, target: inode.target };
  return { type, ...metadata };
}

/** Copies the metadata that all inodes have. */
export function metadataOf({ mode, uid, gid, atime, mtime, ctime, xattrs }: LiveMetadata): InodeMetadata {
  return { mode, uid, gid, atime, mtime, ctime, xattrs };
}
