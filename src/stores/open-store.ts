import { EphemeralStore } from './ephemeral-store.ts';
import { LocalStore } from './local-store.ts';
import { LocalWritableStore } from './local-writable-store.ts';
import type { ImagePlace, Store, StorePlace } from './store.ts';
import type { WritableStore } from './writable-store.ts';

export { checkVacant, isVacant } from './empty-directory.ts';
export type { ImagePlace } from './store.ts';

/**
 * Opens the store at a place. A place is a directory today; another kind of store is chosen here.
 * @throws CkptfsError `not-an-image` when there is something else, `io` also when there is nothing
 */
export function openStore(place: StorePlace | ImagePlace): Store {
  return new LocalStore(place);
}

/** Like {@link openStore}, but for writing. */
export function openWritableStore(place: StorePlace): WritableStore {
  return new LocalWritableStore(place);
}

/** Like {@link openWritableStore}, for an image that is gone with its writer. */
export function openEphemeralStore(place: StorePlace): WritableStore {
  return new EphemeralStore(place);
}

/**
 * Makes an empty store at a location that is vacant.
 * @param isForOneGo whether the image is worth nothing before it is sealed: until then it is unfinished, not unsealed
 * @throws CkptfsError `exists`, `io`
 */
export function createStore(location: string, isForOneGo = false): WritableStore {
  return LocalWritableStore.create(location, isForOneGo);
}
