import { hostname } from 'node:os';
import { CkptfsError } from '../../../base/errors.ts';
import type { WritableStore, WriterLock } from '../../../stores/writable-store.ts';
import { describeLost } from '../model/left-files.ts';
import type { LiveState } from '../model/live-tree.ts';
import type { WarningListener } from '../objects/hole-puncher.ts';

/**
 * Takes the lock of the writer (W21), and warns of readers that it cannot keep out.
 * @throws CkptfsError `locked`, `damaged`, `io`
 */
export function lockImage(store: WritableStore, onWarning: WarningListener): WriterLock {
  const lock = store.lock(`${hostname()} ${process.pid}`);
  if (lock.unseenReaders !== undefined) onWarning(`${store.location}: ${lock.unseenReaders}`);
  return lock;
}

/** Returns the ids of all objects in a store. @throws CkptfsError `io` */
export function storedIds(store: WritableStore): string[] {
  return store.list().objects.map(({ id }) => id);
}

/** Says what is lost of an image that was left unsealed; undefined when nothing that was committed is. */
export function missing({ tree }: LiveState, dropped: string | undefined): string | undefined {
  const all = [dropped, describeLost(tree)].filter((text) => text !== undefined);
  return all.length === 0 ? undefined : all.join('; and ');
}

/** Refuses to go on where something would be lost. @throws CkptfsError `unsealed` */
export function refuseDropping({ location }: WritableStore, dropped: string | undefined): void {
  if (dropped === undefined) return;
  throw new CkptfsError('unsealed', `${location} was not closed, and this would be lost: ${dropped}`, {
    path: location,
    data: { reason: 'losses' },
  });
}
