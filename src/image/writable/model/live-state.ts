import type { LiveTree } from './live-tree.ts';
import type { ObjectTable } from './object-table.ts';

/** All there is of a writable image, in memory. */
export interface LiveState {
  /** Of the seal it continues; 0 when there was none. */
  readonly epoch: number;
  readonly tree: LiveTree;
  readonly objects: ObjectTable;
}
