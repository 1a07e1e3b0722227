import { CkptfsError } from '../base/errors.ts';
import type { Directory } from '../base/linux/directory.ts';
import type { CreatedImage } from '../image/create/create.ts';
import { archiveSuffix } from './archive-names.ts';
import { finishTaking, type TakenArchive } from './finish-taking.ts';
import { LeasedArchive } from './leased-archive.ts';
import { prepareTaking, type TakeOptions } from './prepare-taking.ts';
import type { TakingPlace } from './taking-place.ts';

export type { TakenArchive } from './finish-taking.ts';
export { TakingPlace } from './taking-place.ts';

/** An archive that was taken. */
export interface NewlyTaken extends TakenArchive {
  readonly created: CreatedImage;
  /** How many other names the archive has, under which it is still in clear. */
  readonly otherNames: number;
}

/** Lists what is called as archives are in a directory, in byte order. @throws Error */
export function archivesIn(watched: Directory): Buffer[] {
  return watched
    .names()
    .filter((name) => archiveSuffix(name) !== undefined)
    .sort(Buffer.compare);
}

/**
 * Finishes what a process that was killed had begun, or removes what it left of an image.
 * @returns the archive that was taken, if one was
 * @throws CkptfsError `io`
 */
export function resumeTaking(place: TakingPlace, watched: Directory): TakenArchive | undefined {
  const taking = place.recorded();
  if (taking !== undefined) return run(finishTaking(place, watched, taking));
  place.discardDraft();
  return undefined;
}

/**
 * Encrypts an archive into a new image, verifies that and then removes the archive. At any moment the archive is whole
 * in its directory, or the image is whole and durable. Call {@link resumeTaking} before.
 * @returns undefined when there is none of the name, or a process still writes it
 * @throws CkptfsError `unsupported-source`, `source-changed`, `missing-feature`, `interrupted`, `damaged`, `io`; then
 *   the archive is as it was
 */
export async function takeArchive(
  place: TakingPlace,
  watched: Directory,
  name: Buffer,
  options: TakeOptions,
): Promise<NewlyTaken | undefined> {
  const archive = LeasedArchive.open(watched, name);
  if (archive === undefined) return undefined;
  try {
    const { taking, created } = await prepareTaking(place, archive, options);
    const taken = run(finishTaking(place, watched, taking));
    if (taken === undefined) throw new CkptfsError('io', `${place.path}: the new image was moved by another process`);
    return { ...taken, created, otherNames: archive.otherNames };
  } finally {
    archive.close();
  }
}

function run<T>(steps: Generator<void, T>): T {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}
