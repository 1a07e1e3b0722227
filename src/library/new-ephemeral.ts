import { existsSync, statSync } from 'node:fs';
import { CkptfsError } from '../base/errors.ts';
import type { Secret } from '../crypto/secret.ts';
import { DEFAULT_CIPHER } from '../format/ciphers.ts';
import { defaultChunkSize } from '../format/geometry.ts';
import { checkSuite } from '../format/suites.ts';
import { checkChunkSize } from '../image/create/new-header.ts';
import { discardImage } from '../image/discard-image.ts';
import { readAnyHeader } from '../image/read/image.ts';
import { beginEphemeral } from '../image/writable/begin-ephemeral.ts';
import type { EphemeralImage } from '../image/writable/open-ephemeral.ts';
import { createStore, openStore } from '../stores/open-store.ts';
import type { Store } from '../stores/store.ts';
import { madeIn, type NewImageOptions, ownRoot } from './new-image.ts';

export interface NewEphemeral {
  readonly image: EphemeralImage;
  /** Mounts the image, and is stored nowhere. The caller wipes it. */
  readonly imageKey: Secret;
}

/**
 * Makes an image that is gone with the process that serves it (format.md §4), in the place of what such a process left
 * there when it was killed.
 * @throws CkptfsError `bad-argument`, `exists`, `io`; `locked` while an ephemeral image there is in use
 */
export function createEphemeral({
  destination,
  root = ownRoot(),
  suite,
  cipher = DEFAULT_CIPHER,
  chunkSize = defaultChunkSize(undefined),
}: Omit<NewImageOptions, 'makeSlots' | 'compression'>): NewEphemeral {
  checkChunkSize(chunkSize);
  checkSuite({ suite, cipher });
  discardLeft(destination);
  const isNewDirectory = !existsSync(destination);
  const store = createStore(destination);
  const made = madeIn(store, destination, isNewDirectory);
  try {
    const { imageId, imageKey } = beginEphemeral(store);
    const ciphers = { ...(suite === undefined ? {} : { suite }), cipher, chunkSize };
    return { image: { imageId, ...ciphers, root, made }, imageKey };
  } catch (error) {
    discardImage(made);
    throw error;
  } finally {
    store.close();
  }
}

/**
 * Removes an ephemeral image of this user that a killed process left. The directory stays.
 * @throws CkptfsError `locked`, `io`
 */
function discardLeft(path: string): void {
  if (!existsSync(path) || statSync(path).uid !== process.geteuid?.()) return;
  const directory = ephemeralAt(path);
  if (directory !== undefined) discardImage({ location: path, directory, isNewDirectory: false });
}

/** Returns `DEVICE:INODE` of the directory of an ephemeral image; undefined where there is anything else. */
function ephemeralAt(path: string): string | undefined {
  let store: Store | undefined;
  try {
    store = openStore(path);
    readAnyHeader(store);
    return undefined;
  } catch (error) {
    const isMarked =
      error instanceof CkptfsError && error.code === 'not-an-image' && error.data?.reason === 'ephemeral';
    if (store === undefined || !isMarked) return undefined;
    const { device, inode } = store.identity();
    return `${device}:${inode}`;
  } finally {
    store?.close();
  }
}
