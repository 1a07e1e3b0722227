import { isVacantPath } from './empty-directory.ts';
import { LocalStore } from './local-store.ts';
import { LocalWritableStore } from './local-writable-store.ts';
import type { Store, StorePlace } from './store.ts';
import type { WritableStore } from './writable-store.ts';

/**
 * Opens the store at a place: today a directory. One line for each further kind.
 * @throws CkptfsError `not-an-image` when there is something else, `io` also when there is nothing
 */
export function openStore(place: StorePlace): Store {
  return new LocalStore(place);
}

/** Like {@link openStore}, to be written. */
export function openWritableStore(place: StorePlace): WritableStore {
  return new LocalWritableStore(place);
}

/** A new store, empty, at a location where there is nothing. @throws CkptfsError `exists`, `io` */
export function createStore(location: string): WritableStore {
  return LocalWritableStore.create(location);
}

/** Whether there is nothing at a location, as {@link createStore} wants it. @throws CkptfsError `io` */
export function isVacant(location: string): boolean {
  return isVacantPath(location);
}
