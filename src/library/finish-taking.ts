import { CkptfsError, ioError, systemErrorName } from '../base/errors.ts';
import type { Directory } from '../base/linux/directory.ts';
import { lastNameOf, pathIn } from './archive-names.ts';
import { type FileIdentity, identityOf, isSame, isSameRenamed } from './file-identity.ts';
import { LeasedArchive } from './leased-archive.ts';
import type { Taking } from './taking.ts';
import type { TakingPlace } from './taking-place.ts';

/** What became of the archive whose image is there. */
export type ArchiveEnd =
  | { readonly kind: 'removed' }
  /** It was removed by another process. */
  | { readonly kind: 'gone' }
  /** Another archive is in its place, or it was changed: it stays. */
  | { readonly kind: 'changed' }
  | { readonly kind: 'kept'; readonly error: CkptfsError };

/** An image that has its name. */
export interface TakenArchive {
  /** The path that the archive had. */
  readonly archive: string;
  /** The path of the image. */
  readonly image: string;
  readonly imageId: string;
  readonly end: ArchiveEnd;
}

/**
 * Does the rest of taking an archive, when its image is sealed, verified and recorded. Between any two steps the
 * process may be killed: the same steps are then done by another one, and those that were done before do nothing.
 * @param watched the directory of the archive
 * @returns undefined, with the archive as it is, when the image is not where it was
 * @throws CkptfsError `io` from the directory of the images
 */
export function* finishTaking(
  place: TakingPlace,
  watched: Directory,
  recorded: Taking,
): Generator<void, TakenArchive | undefined> {
  const taking = nameImage(place, recorded);
  yield;
  if (place.imageAt(taking.image) !== taking.imageId) {
    place.forget();
    return undefined;
  }
  const archive = pathIn(taking.directory, taking.name);
  const end =
    watched.path() === taking.directory ? yield* removeArchive(watched, taking) : outOfReach(watched, archive);
  yield;
  place.forget();
  return { archive, image: place.pathOf(taking.image), imageId: taking.imageId, end };
}

/** Gives the image its name, or another one when that is taken by now. */
function nameImage(place: TakingPlace, recorded: Taking): Taking {
  if (place.draft !== recorded.imageId) return recorded;
  const taking = { ...recorded, image: place.freeName(recorded.image) };
  if (!taking.image.equals(recorded.image)) place.record(taking);
  place.publish(taking.image);
  return taking;
}

/** What becomes of an archive that another process began to take, which watched another directory. */
function outOfReach(watched: Directory, archive: string): ArchiveEnd {
  const message = `${archive} is not in ${watched.path()}, which is watched now`;
  return { kind: 'kept', error: new CkptfsError('io', message, { path: archive }) };
}

/** Removes the archive if it is the one that was encrypted, and no process writes it. */
function* removeArchive(watched: Directory, { name, imageId, archive }: Taking): Generator<void, ArchiveEnd> {
  // By a name that no other process knows, so that nothing which gets its old name now is removed.
  const lastName = lastNameOf(name, imageId);
  try {
    if (watched.lstat(lastName) === undefined) {
      const found = watched.lstat(name);
      if (found === undefined) return { kind: 'gone' };
      if (!isSame(archive, identityOf(found))) return { kind: 'changed' };
      watched.rename(name, lastName);
      yield;
    }
    if (!unlinkIf(watched, lastName, archive)) {
      giveNameBack(watched, lastName, name);
      return { kind: 'changed' };
    }
    yield;
    watched.sync();
    return { kind: 'removed' };
  } catch (cause) {
    giveNameBack(watched, lastName, name);
    return { kind: 'kept', error: ioError('remove', pathIn(watched.path(), name), cause) };
  }
}

/** Removes a name if it leads to a certain file without a writer. @returns whether it did */
function unlinkIf(watched: Directory, name: Buffer, wanted: FileIdentity): boolean {
  // A process that opened it to write by its old name would write into a file without a name.
  const found = LeasedArchive.open(watched, name);
  if (found === undefined) return false;
  try {
    if (!isSameRenamed(wanted, found.identity)) return false;
    watched.unlink(name);
    return true;
  } finally {
    found.close();
  }
}

/** Renames it back, unless there is another one by now, or it cannot be. The name that it has then will do, too. */
function giveNameBack(watched: Directory, lastName: Buffer, name: Buffer): void {
  try {
    watched.rename(lastName, name, { replace: false });
  } catch (error) {
    if (systemErrorName(error) === undefined) throw error;
  }
}
