import { CHUNKS_PER_GROUP, type Geometry } from '../../format/geometry.ts';
import type { Header } from '../../format/header.ts';
import type { WritableStore } from '../../stores/writable-store.ts';
import { finishObject, writeObjectHeader } from './finish-object.ts';
import type { ObjectTable } from './object-table.ts';

/**
 * Finishes the objects that were begun in a journal and are still used: what of them was not durable but the journal's records is
 * written again. What the journal does not name at all was never committed, and goes first: room may be short. Durable when this returns;
 * may be done again after it failed.
 * @throws CkptfsError `io`, `damaged` when an object is missing
 */
export function finishReplayed(store: WritableStore, header: Header, geometry: Geometry, table: ObjectTable): void {
  removeUnnamed(store, table);
  for (const object of table.objects) {
    const { growing } = object;
    if (growing === undefined || object.live === 0) continue;
    // Also those of which the journal names no chunk.
    for (let first = 0; first < object.chunks; first += CHUNKS_PER_GROUP) growing.pageToFill(first);
    const file = store.openObjectForWriting(object.name);
    try {
      writeObjectHeader(file, header, object.id);
      finishObject(object, file, geometry);
      file.sync();
    } finally {
      file.close();
    }
  }
  store.syncNames();
}

function removeUnnamed(store: WritableStore, { objects }: ObjectTable): void {
  const named = new Set(objects.map(({ name }) => name));
  for (const { id } of store.list().objects) if (!named.has(id)) store.removeObject(id);
}
