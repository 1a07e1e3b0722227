import { CkptfsError } from '../base/errors.ts';
import type { Header } from '../format/header.ts';
import { encodeRemoteIndex, type FilePart, MAX_INDEX_SIZE, partsOf, remoteSize } from '../format/remote-index.ts';
import type { Store } from '../stores/store.ts';
import { packedStream } from './local-file.ts';
import { type PushPlan, planPush } from './plan-push.ts';
import { eachOf } from './shared/each-of.ts';
import type { RemoteStore } from './shared/remote-store.ts';

export interface TransferProgress {
  /** Bytes that were sent or fetched, or found to be there. */
  readonly doneBytes: number;
  /** Undefined as long as it is not known. */
  readonly totalBytes: number | undefined;
}

export interface PushOptions {
  /** Parts that are sent at a time. */
  readonly jobs: number;
  readonly signal: AbortSignal;
  /** Whether another image, or anything else, may be replaced. */
  readonly replace?: boolean;
  /** Bytes of a file that are one part, for tests; by the size of the image unless told. */
  readonly partSize?: number;
  readonly onProgress?: (progress: TransferProgress) => void;
}

/** What a push or a pull did. */
export interface Transferred {
  /** 32 hexadecimal digits. */
  readonly imageId: string;
  /** Bytes of all files. */
  readonly size: number;
  readonly parts: number;
  /** What was sent or fetched, since it was missing. */
  readonly movedParts: number;
  /** As they are stored, packed. */
  readonly movedBytes: number;
}

interface LocatedPart extends FilePart {
  readonly file: number;
}

/**
 * Sends a sealed image, of which the remote store has nothing or a part: what is missing, and last of all the index.
 * The caller keeps writers out.
 * @throws CkptfsError `exists` when another image is there, `store-unavailable`, `source-changed`, `damaged`, `io`,
 *   `interrupted`
 */
export async function pushImage(
  store: Store,
  header: Header,
  remote: RemoteStore,
  options: PushOptions,
): Promise<Transferred> {
  const { jobs, signal, replace = false, partSize, onProgress } = options;
  if (!replace) await refuseOther(remote, header.imageId.toString('hex'));
  const plan = await planPush(store, header, { signal, partSize });
  const encoded = encodeRemoteIndex(plan.index);
  if (encoded.length > MAX_INDEX_SIZE)
    throw new CkptfsError('bad-argument', `${store.location}: the image has too many objects to be pushed`);
  const parts = eachPartOnce(plan);
  const totalBytes = parts.reduce((sum, { size }) => sum + size, 0);
  let [doneBytes, movedParts, movedBytes] = [0, 0, 0];
  await eachOf(parts, jobs, async (part) => {
    const { file, size } = part;
    const local = plan.files[file];
    if (local === undefined) throw new CkptfsError('internal', 'a part of no file');
    if (!(await remote.hasPart(part))) {
      await remote.putPart(part, () => packedStream(local, part));
      movedParts++;
      movedBytes += size;
    }
    doneBytes += size;
    onProgress?.({ doneBytes, totalBytes });
  });
  await remote.publish(plan.index, encoded);
  return { imageId: plan.index.imageId, size: remoteSize(plan.index), parts: parts.length, movedParts, movedBytes };
}

/** @throws CkptfsError `exists` when something else is there than this image */
async function refuseOther(remote: RemoteStore, imageId: string): Promise<void> {
  const other = (what: string, cause?: unknown): CkptfsError =>
    new CkptfsError('exists', `${remote.location}: ${what} is there`, { data: { reason: 'other-image' }, cause });
  const found = await remote.readIndex().catch((error: unknown) => {
    if (error instanceof CkptfsError && (error.code === 'not-an-image' || error.code === 'damaged'))
      throw other('something else', error);
    throw error;
  });
  if (found !== undefined && found.imageId !== imageId) throw other(`another image, ${found.imageId},`);
}

/** Returns the parts of all files and of the block table, each digest once. */
function eachPartOnce({ index }: PushPlan): LocatedPart[] {
  const parts = new Map<string, LocatedPart>();
  for (const [file, listed] of [...index.files, index.blocks].entries()) {
    for (const part of partsOf(listed, index.partSize))
      if (!parts.has(part.digest)) parts.set(part.digest, { ...part, file });
  }
  return [...parts.values()];
}
