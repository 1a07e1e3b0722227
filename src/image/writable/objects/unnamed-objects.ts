import { CkptfsError } from '../../../base/errors.ts';
import type { WritableStore } from '../../../stores/writable-store.ts';
import type { ImageContext } from '../../objects/image-context.ts';
import type { WarningListener } from './hole-puncher.ts';

/** An object that an image names. */
export interface NamedObject {
  /** 16 bytes. */
  readonly id: Buffer;
  readonly chunks: number;
  /** Set while it is not finished and has no exact size. */
  readonly growing?: unknown;
}

/**
 * Removes the objects of a store that an image does not name, after it has found all that the image names. If one is
 * missing, it warns and removes nothing: the directory may be that of another image, or someone tampers with it, and
 * the other objects may be all that is left of something.
 * @param stored ids of the objects that may be removed
 * @param remove removes one, by default from the store
 * @throws CkptfsError `io`
 */
export function removeUnnamed(
  image: Pick<ImageContext<WritableStore>, 'geometry' | 'store'>,
  stored: readonly string[],
  named: readonly NamedObject[],
  onWarning: WarningListener,
  remove: (id: string) => void = (id) => image.store.removeObject(id),
): void {
  const kept = new Set(named.map(({ id }) => id.toString('hex')));
  const unnamed = stored.filter((id) => !kept.has(id));
  const missing = findMissing(image, named);
  if (missing === undefined) for (const id of unnamed) remove(id);
  else if (unnamed.length === 0) onWarning(missing);
  else onWarning(`${missing}: objects that do not belong to the image were therefore not removed`);
}

/** Says which object is missing or has a wrong size; undefined if none is. */
function findMissing(
  { geometry, store }: Pick<ImageContext, 'geometry' | 'store'>,
  named: readonly NamedObject[],
): string | undefined {
  for (const object of named) {
    const id = object.id.toString('hex');
    try {
      const file = store.openObject(id);
      file.close();
      if (object.growing === undefined && file.size !== geometry.objectSize(object.chunks)) {
        return `object ${id} has another size than when it was sealed`;
      }
    } catch (error) {
      if (!(error instanceof CkptfsError) || error.code !== 'damaged') throw error;
      return error.message;
    }
  }
  return undefined;
}
