import type { LiveTree } from './live-tree.ts';
import type { ObjectTable } from './object-table.ts';

/** Everything that a writable image is, in memory. */
export interface LiveState {
  /** The epoch of the seal that it continues, or 0 if there was none. */
  readonly epoch: number;
  readonly tree: LiveTree;
  readonly objects: ObjectTable;
}
