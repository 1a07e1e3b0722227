import { isEmptyOrMissing } from './empty-directory.ts';
import { LocalStore } from './local-store.ts';
import { LocalWritableStore } from './local-writable-store.ts';
import type { Store } from './store.ts';
import type { WritableStore } from './writable-store.ts';

/** The store behind a location as a user writes it: today a directory. One line for each further kind. */
export function openStore(location: string): Store {
  return new LocalStore(location);
}

/** The same, to be written. */
export function openWritableStore(location: string): WritableStore {
  return new LocalWritableStore(location);
}

/** A new store, empty, at a location where there is nothing. @throws CkptfsError `exists`, `io` */
export function createStore(location: string): WritableStore {
  return LocalWritableStore.create(location);
}

/** Whether there is nothing at a location, as {@link createStore} wants it. @throws CkptfsError `io` */
export function isVacant(location: string): boolean {
  return isEmptyOrMissing(location);
}
