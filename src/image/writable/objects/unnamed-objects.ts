import { CkptfsError } from '../../../base/errors.ts';
import type { Geometry } from '../../../format/geometry.ts';
import type { WritableStore } from '../../../stores/writable-store.ts';
import type { WarningListener } from './puncher.ts';

/** An object in which something of an image lies. */
export interface NamedObject {
  /** 16 bytes. */
  readonly id: Buffer;
  readonly chunks: number;
  /** Set while it has no exact size yet. */
  readonly growing?: unknown;
}

/**
 * Removes the objects of a store that an image does not name, once all that it names were found there. Where one is not, that is
 * warned of, and nothing is removed: the directory may be another image's by mistake, or somebody tampers with it, and what
 * looks superfluous may be all that is left of something.
 * @param stored ids of all that may have to go
 * @param remove what removes one; the store by default
 * @throws CkptfsError `io`
 */
export function removeUnnamed(
  store: WritableStore,
  stored: readonly string[],
  named: readonly NamedObject[],
  geometry: Geometry,
  onWarning: WarningListener,
  remove: (id: string) => void = (id) => store.removeObject(id),
): void {
  const kept = new Set(named.map(({ id }) => id.toString('hex')));
  const unnamed = stored.filter((id) => !kept.has(id));
  const missing = findMissing(store, named, geometry);
  if (missing === undefined) for (const id of unnamed) remove(id);
  else if (unnamed.length === 0) onWarning(missing);
  else onWarning(`${missing}: objects that do not belong to the image were therefore not removed`);
}

/** Says which object is not there, or not as it must be; undefined when all are. */
function findMissing(store: WritableStore, named: readonly NamedObject[], geometry: Geometry): string | undefined {
  for (const object of named) {
    const id = object.id.toString('hex');
    try {
      const file = store.openObject(id);
      file.close();
      if (object.growing === undefined && file.size !== geometry.objectSize(object.chunks)) {
        return `object ${id} has another size than it was sealed with`;
      }
    } catch (error) {
      if (!(error instanceof CkptfsError) || error.code !== 'damaged') throw error;
      return error.message;
    }
  }
  return undefined;
}
