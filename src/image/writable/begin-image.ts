import { timeAt } from '../../base/time.ts';
import { IMAGE_KEY_SIZE } from '../../crypto/image-keys.ts';
import { Secret } from '../../crypto/secret.ts';
import { randomBytes } from '../../crypto/system-random.ts';
import { type CipherName, DEFAULT_CIPHER } from '../../format/ciphers.ts';
import type { CompressionName } from '../../format/compressions.ts';
import { defaultChunkSize } from '../../format/geometry.ts';
import type { Header } from '../../format/header.ts';
import { ID_SIZE } from '../../format/manifest.ts';
import { checkSuite, type SuiteName } from '../../format/suites.ts';
import type { WritableStore } from '../../stores/writable-store.ts';
import { checkChunkSize, type MakeSlots, writeNewHeader } from '../create/new-header.ts';
import { imageContext } from '../objects/image-context.ts';
import { emptyState } from './empty-state.ts';
import { JournalWriter } from './journal/journal-writer.ts';
import { Snapshot } from './journal/snapshot.ts';
import { FileChunks } from './model/file-chunks.ts';
import type { NewInode } from './writable-image.ts';

export interface BeginOptions {
  readonly makeSlots: MakeSlots;
  /** The root directory. */
  readonly root: NewInode;
  readonly suite?: SuiteName;
  readonly cipher?: CipherName;
  /** Bytes, as {@link isChunkSize} allows. */
  readonly chunkSize?: number;
  readonly compression?: CompressionName | undefined;
}

export interface BegunImage {
  readonly header: Header;
  /** The caller wipes it. */
  readonly imageKey: Secret;
}

/**
 * Makes a new, unsealed image of nothing but a root directory, for `openWritable`. Until it returns, the store has an
 * unfinished image.
 * @param store must be empty
 * @throws CkptfsError `bad-argument`, `io`
 */
export async function beginImage(store: WritableStore, options: BeginOptions): Promise<BegunImage> {
  const { suite, cipher = DEFAULT_CIPHER, compression, makeSlots, root } = options;
  const { chunkSize = defaultChunkSize(compression) } = options;
  checkChunkSize(chunkSize);
  checkSuite(options);
  const imageKey = Secret.random(IMAGE_KEY_SIZE);
  try {
    const imageId = randomBytes(ID_SIZE);
    const header = await writeNewHeader(store, makeSlots, imageKey, {
      imageId,
      suite,
      cipher,
      chunkSize,
      compression,
    });
    const image = imageContext(store, header, imageKey);
    const state = emptyState(root, timeAt(Date.now()));
    const snapshot = new Snapshot(state, new FileChunks(image.geometry, state.objects));
    JournalWriter.draft(image, snapshot.entries())().close();
    // The names of the image's directory and of `objects` in it.
    store.syncNames();
    return { header, imageKey };
  } catch (error) {
    imageKey.wipe();
    throw error;
  }
}
