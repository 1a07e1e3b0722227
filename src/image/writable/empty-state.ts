import type { Time } from '../../base/time.ts';
import { type LiveState, LiveTree } from './model/live-tree.ts';
import { ObjectTable } from './model/object-table.ts';
import type { NewInode } from './writable-image.ts';

/** Returns the state of an image that has nothing but a root directory and was never sealed. */
export function emptyState(root: NewInode, now: Time): LiveState {
  const metadata = { ...root, atime: now, mtime: now, ctime: now, xattrs: [] };
  return { epoch: 0, tree: LiveTree.withRoot(metadata), objects: new ObjectTable() };
}
