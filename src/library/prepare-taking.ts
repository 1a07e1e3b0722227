import { CkptfsError } from '../base/errors.ts';
import type { CreatedImage } from '../image/create/create.ts';
import { imageNameOf } from './archive-names.ts';
import { type CreateFromArchiveOptions, createFromArchive } from './create-from-archive.ts';
import type { LeasedArchive } from './leased-archive.ts';
import type { Taking } from './taking.ts';
import type { TakingPlace } from './taking-place.ts';

export type TakeOptions = Omit<CreateFromArchiveOptions, 'destination' | 'verify' | 'onCancellable' | 'onProgress'>;

/**
 * Makes the image of an archive, verifies it and records that the archive is to go.
 * @throws CkptfsError `unsupported-source`, `source-changed`, `interrupted`, `damaged`, `io`; then there is neither an
 *   image nor a record
 */
export async function prepareTaking(
  place: TakingPlace,
  archive: LeasedArchive,
  options: TakeOptions,
): Promise<{ readonly taking: Taking; readonly created: CreatedImage }> {
  const source = { name: archive.path, stream: archive.stream() };
  const created = await archive.whileUndisturbed(options.signal, (signal) =>
    createFromArchive(source, { ...options, signal, destination: place.draftPath, verify: true }),
  );
  return { taking: recordTaking(place, archive, created), created };
}

/** From here on the image counts, and the archive is to go. When that fails, the image is removed. */
function recordTaking(place: TakingPlace, archive: LeasedArchive, created: CreatedImage): Taking {
  try {
    refuseLosses(archive, created);
    const taking = {
      directory: archive.directory,
      name: archive.name,
      archive: archive.identity,
      image: place.freeName(imageNameOf(archive.name)),
      imageId: created.imageId,
    };
    // Last, as nothing changes the archive without ending this.
    archive.checkUndisturbed();
    place.record(taking);
    return taking;
  } catch (error) {
    if (place.recorded() === undefined) place.discardDraft();
    throw error;
  }
}

/** @throws CkptfsError `unsupported-source` when the image has less than the archive */
function refuseLosses({ path }: LeasedArchive, { losses }: CreatedImage): void {
  const [first] = losses;
  if (first === undefined) return;
  const example = first.examples[0]?.path ?? '';
  const message = `${path}: an image cannot keep the ${first.kind} of ${first.count} members, such as ${example}`;
  throw new CkptfsError('unsupported-source', message, { path, data: { reason: 'unrepresentable' } });
}
