import { CkptfsError } from '../../../base/errors.ts';
import type { Geometry } from '../../../format/geometry.ts';
import { type Manifest, ROOT_INODE } from '../../../format/manifest.ts';
import type { WritableStore } from '../../../stores/writable-store.ts';
import type { ImageContext } from '../../objects/image-context.ts';
import { openImage } from '../../read/image.ts';
import { JournalReader, journalDamaged } from '../journal/journal-reader.ts';
import { keyOf } from '../model/children.ts';
import { FileChunks } from '../model/file-chunks.ts';
import { LiveDirectory, LiveFile, type LiveInode, LiveMeeting, LiveSymlink } from '../model/live-inode.ts';
import { type LiveState, LiveTree } from '../model/live-tree.ts';
import { LiveObject, ObjectTable } from '../model/object-table.ts';
import { type ReplayedJournal, replayJournal } from './replay-journal.ts';

/** The state in which an image was left. */
export type FoundImage =
  | ({ readonly kind: 'unsealed' } & ReplayedJournal)
  /** A journal beside the manifest is stale: a seal was interrupted before it had removed it. */
  | { readonly kind: 'sealed'; readonly manifest: Manifest; readonly hasStaleJournal: boolean };

/**
 * Finds out in which state an image was left, and authenticates it. The caller holds the lock of the writer (W21).
 * @throws CkptfsError `unfinished`, `damaged`, `io`
 */
export function findImage(image: ImageContext<WritableStore>): FoundImage {
  const { store, header, imageKey } = image;
  const manifest = store.has('manifest') ? openImage(store, header, imageKey).manifest : undefined;
  const file = store.readJournal();
  if (file === undefined) {
    if (manifest === undefined) throw unfinished(store.location);
    return { kind: 'sealed', manifest, hasStaleJournal: false };
  }
  const reader = JournalReader.open(image, file);
  try {
    const sealed = manifest?.epoch ?? 0;
    const epoch = reader.epoch();
    if (epoch > sealed) {
      throw journalDamaged(store.location, `it continues seal ${epoch}, but the manifest is of seal ${sealed}`);
    }
    if (manifest !== undefined && epoch < sealed) return { kind: 'sealed', manifest, hasStaleJournal: true };
    return { kind: 'unsealed', ...replayJournal(image, reader) };
  } finally {
    reader.close();
  }
}

/** Makes the state that a sealed image is continued from. */
export function stateOf({ epoch, objects, inodes, entries }: Manifest, geometry: Geometry): LiveState {
  const table = new ObjectTable();
  for (const object of objects) table.add(LiveObject.finished(object));
  const chunks = new FileChunks(geometry, table);
  const tree = new LiveTree();
  for (const [index, inode] of inodes.entries()) {
    const number = ROOT_INODE + index;
    if (inode.type === 'directory') tree.add(new LiveDirectory(number, inode));
    else if (inode.type === 'symlink') tree.add(new LiveSymlink(number, inode, inode.target));
    else if (inode.type !== 'file') tree.add(new LiveMeeting(inode.type, number, inode));
    else {
      const file = new LiveFile(number, inode);
      file.size = inode.size;
      for (const extent of inode.extents) chunks.append(file, extent);
      tree.add(file);
    }
  }
  for (const { parent, inode, name } of entries) {
    tree.bind(tree.directory(parent) as LiveDirectory, keyOf(name), tree.inode(inode) as LiveInode);
  }
  return { epoch, tree, objects: table };
}

function unfinished(location: string): CkptfsError {
  return new CkptfsError('unfinished', `${location} is an unfinished image: it was never sealed`, {
    path: location,
  });
}
