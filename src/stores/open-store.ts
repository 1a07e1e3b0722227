import { LocalStore } from './local-store.ts';
import type { Store } from './store.ts';

/** The store behind a location as a user writes it: today a directory. One line for each further kind. */
export function openStore(location: string): Store {
  return new LocalStore(location);
}
