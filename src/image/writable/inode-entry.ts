import type { InodeEntry, JournalInode } from '../../format/journal.ts';
import type { LiveInode } from './live-inode.ts';

/** An inode as it is now, for the journal. */
export function inodeEntry(inode: LiveInode): InodeEntry {
  return { kind: 'inode', inode: inode.number, value: inodeValue(inode) };
}

/** Everything of an inode but what it holds. */
export function inodeValue(inode: LiveInode): JournalInode {
  const { mode, uid, gid, mtimeSeconds, mtimeNanoseconds, xattrs } = inode;
  const metadata = { mode, uid, gid, mtimeSeconds, mtimeNanoseconds, xattrs };
  if (inode.type === 'file') return { type: 'file', ...metadata, size: inode.size };
  if (inode.type === 'symlink') return { type: 'symlink', ...metadata, target: inode.target };
  return { type: 'directory', ...metadata };
}
