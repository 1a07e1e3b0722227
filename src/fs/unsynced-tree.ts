import { Errno } from '../base/errno.ts';
import type { WritableFileSystem } from '../fuse/protocol/filesystem.ts';
import { ForwardingTree } from './forwarding-tree.ts';

/** A file system that is gone with the process that serves it, so that fsync(2) has nothing to do. */
export class UnsyncedTree extends ForwardingTree<WritableFileSystem> {
  /** To the kernel ENOSYS means success, and that it need not ask again. */
  override sync(): void {
    throw Errno.of('ENOSYS');
  }
}
