import { CkptfsError, isFull } from '../../../base/errors.ts';
import type { WritableStore } from '../../../stores/writable-store.ts';
import type { ImageContext } from '../../objects/image-context.ts';
import { writeObjectHeader } from '../../objects/object-sealer.ts';
import type { ObjectTable } from '../model/object-table.ts';
import { finishObject } from '../objects/finish-object.ts';
import type { WarningListener } from '../objects/hole-puncher.ts';
import { removeUnnamed } from '../objects/unnamed-objects.ts';

/**
 * Finishes the objects that were begun in a journal and are in use. Their header and tag pages may never have reached
 * the disk, and are written again. They are durable when this returns.
 * @throws CkptfsError `io`: it may be tried again where {@link isFull} says so; `damaged` when an object is missing
 */
export function finishReplayed({ store, header, geometry }: ImageContext<WritableStore>, table: ObjectTable): void {
  for (const object of table.objects) {
    const { growing } = object;
    if (growing === undefined || object.live === 0) continue;
    // Also the pages of groups of which the journal names no chunk.
    for (let first = 0; first < object.chunks; first += geometry.chunksPerGroup) growing.pageToFill(first);
    const file = store.openObjectForWriting(object.name);
    try {
      writeObjectHeader(file, header, object.id);
      finishObject(object, file, geometry);
      makeDurable(() => file.sync());
    } finally {
      file.close();
    }
  }
  makeDurable(() => store.syncNames());
}

/**
 * Runs what makes something durable. Its failure is not one of {@link isFull}: the system may have dropped what it
 * could not write, so it must not be tried again (W20).
 */
function makeDurable(action: () => void): void {
  try {
    action();
  } catch (cause) {
    if (!isFull(cause) || !(cause instanceof CkptfsError)) throw cause;
    const path = cause.path === undefined ? {} : { path: cause.path };
    throw new CkptfsError('io', cause.message, { ...path, cause });
  }
}

/**
 * Takes over a journal, such as by {@link finishReplayed} and what follows. If the store is full, it removes the
 * objects that the journal does not name, which were never committed, and tries once more. Otherwise they stay until
 * the work has succeeded.
 * @param work can be done again after it failed
 * @throws what `work` throws
 */
export function withSpace<T>(
  image: ImageContext<WritableStore>,
  { objects }: ObjectTable,
  onWarning: WarningListener,
  work: () => T,
): T {
  try {
    return work();
  } catch (error) {
    if (!isFull(error)) throw error;
  }
  const dead = new Set(objects.filter(({ live }) => live === 0).map(({ name }) => name));
  const stored = image.store.list().objects.flatMap(({ id }) => (dead.has(id) ? [] : [id]));
  const live = objects.filter((object) => object.live > 0);
  removeUnnamed(image, stored, live, onWarning);
  return work();
}
