import { CkptfsError } from '../base/errors.ts';
import type { CipherName } from '../format/ciphers.ts';
import { type Header, MAX_REPLACED } from '../format/header.ts';
import { refuseInside } from '../image/create/create.ts';
import { checkChunkSize } from '../image/create/new-header.ts';
import { type Image, lockForReading, openImage, readAnyHeader, readHeader } from '../image/read/image.ts';
import { replacesMac } from '../image/reencrypt/replaces-mac.ts';
import { type SealCopyOptions, type SealedCopy, sealCopy } from '../image/reencrypt/seal-copy.ts';
import type { Recipient } from '../keys/provider.ts';
import { ImagePlace } from '../stores/image-place.ts';
import { openStore } from '../stores/open-store.ts';
import { ReplacementStore } from '../stores/replacement-store.ts';
import type { Store, StoreLock } from '../stores/store.ts';
import { checkEpoch, type ReadOptions } from './encrypted-image.ts';
import {
  closeReplacement,
  isVouchedFor,
  openReplacement,
  type Replacement,
  type ReplacementPlan,
} from './replacement.ts';
import { demandSignature } from './signatures.ts';
import { unlockHeader } from './unlock.ts';

export interface ReencryptOptions extends ReadOptions, SealCopyOptions {
  /**
   * Who can open the new image. Those that also open slots, keys and passphrases, can go on with what an interruption
   * left; for public keys alone the work then begins again.
   */
  readonly recipients: readonly Recipient[];
  /** A directory for the new image; without it the new image takes the place of the old one. */
  readonly destination?: string;
  /**
   * With `destination`: whether the new image takes the place of the old one there as well, so that who has accepted
   * the signature of the new one refuses the old one (format.md §10).
   */
  readonly retire?: boolean;
  /** By default that of the old image. */
  readonly cipher?: CipherName;
  /** Bytes: a power of two from 4096 to 65536; by default that of the old image. */
  readonly chunkSize?: number;
}

export interface ReencryptedImage {
  /** 32 hexadecimal digits. */
  readonly imageId: string;
  /** The id of the old image. */
  readonly previousImageId: string;
  /** What was encrypted; undefined when only the removal of the old image was left to do. */
  readonly contents: SealedCopy | undefined;
  /** Where the old image still is. Undefined when it was removed. */
  readonly oldImage: string | undefined;
}

/** How often work begins again whose result, left by an interruption, turns out to be unusable. */
const MAX_ATTEMPTS = 2;

/**
 * Encrypts everything that a sealed image holds under a new image key, in new objects, and verifies the result. After
 * an interruption, the same call goes on. See format.md §10.
 * @throws CkptfsError `bad-argument`, `unsealed`, `unfinished`, `not-an-image`, `unsupported-format`, `damaged`,
 * `wrong-image`, `no-key`, `wrong-key`, `untrusted`, `locked`, `exists`, `missing-feature`, `io`, `interrupted`.
 * Whatever it is, the path of the image leads to a whole image
 */
export async function reencryptImage(location: string, options: ReencryptOptions): Promise<ReencryptedImage> {
  if (options.recipients.length === 0) throw new CkptfsError('bad-argument', 'the new image has no recipient');
  if (options.chunkSize !== undefined) checkChunkSize(options.chunkSize);
  return options.destination === undefined
    ? reencryptInPlace(location, options)
    : reencryptInto(location, options.destination, options);
}

async function reencryptInto(
  location: string,
  destination: string,
  options: ReencryptOptions,
): Promise<ReencryptedImage> {
  refuseInside(location, destination);
  const store = openStore(location);
  try {
    return await withOpened(store, options, async (image) => {
      const plan = planOf(image, 'copy', options, {
        find: () => findIn(destination),
        make: () => ReplacementStore.make(destination, markOf(image, 'copy')),
      });
      return withSealed(image, plan, options, (replacement, contents) => {
        replacement.store.removeMark();
        return resultOf(image, replacement, contents, store.location);
      });
    });
  } finally {
    store.close();
  }
}

async function reencryptInPlace(location: string, options: ReencryptOptions): Promise<ReencryptedImage> {
  const place = ImagePlace.hold(location);
  try {
    const finished = await finishInterrupted(place, options);
    if (finished !== undefined) return finished;
    const exchanged = await exchange(place, options);
    // What is in the sibling now is what was exchanged, whatever marks it has.
    return { ...exchanged, oldImage: finish(place, exchanged.previousImageId, () => true) };
  } finally {
    place.close();
  }
}

/** Makes the new image, and puts it in the place of the old one. */
async function exchange(place: ImagePlace, options: ReencryptOptions): Promise<ReencryptedImage> {
  const store = place.openImage();
  let slotLock: StoreLock | undefined;
  try {
    return await withOpened(
      store,
      options,
      (image) => {
        const plan = planOf(image, 'in-place', options, {
          find: () => marked(place.openSibling()),
          make: () => makeBeside(place, image),
        });
        return withSealed(image, plan, options, (replacement, contents) => {
          replacement.store.takeModesOf(store);
          vouchFor(replacement, plan);
          place.exchange(store.identity(), replacement.store.identity());
          return resultOf(image, replacement, contents, place.siblingPath);
        });
      },
      () => {
        slotLock = store.lockHeader();
      },
    );
  } finally {
    slotLock?.release();
    store.close();
  }
}

/**
 * Does what an interrupted re-encryption left to do when the new image was in place. That counts only where a secret of
 * the new recipients opens the image and the mark is vouched for, and where the image is what is wanted now. Returns
 * undefined where there is no such mark; then everything is still to be done.
 * @throws CkptfsError `exists` when something is beside the image that this cannot decide about, `io`
 */
async function finishInterrupted(place: ImagePlace, options: ReencryptOptions): Promise<ReencryptedImage | undefined> {
  const store = place.openImage();
  let lock: StoreLock | undefined;
  try {
    const mark = store.mark();
    if (mark === undefined || mark === 'torn' || mark.how !== 'in-place') return undefined;
    lock = store.hold();
    const header = readAnyHeader(store);
    if ((await isVouchedFor(header, mark, options.recipients)) && isWanted(store, header, mark.imageId, options)) {
      const oldImage = finish(place, mark.imageId, (old) => old.mark() === undefined);
      const imageId = header.imageId.toString('hex');
      return { imageId, previousImageId: mark.imageId, contents: undefined, oldImage };
    }
    const sibling = place.openSibling();
    if (sibling === undefined) {
      store.removeMark();
      return undefined;
    }
    sibling.close();
    throw notReplaced(place, mark.imageId);
  } finally {
    lock?.release();
    store.close();
  }
}

/** Lets the mark of a whole image be told from one that the storage made. */
function vouchFor({ store, header, imageKey }: Replacement, { mark }: ReplacementPlan): void {
  store.vouch(mark, replacesMac(header, imageKey, mark.imageId));
}

/** Tells whether an image is as a re-encryption with these options leaves it. */
function isWanted(store: Store, header: Header, oldId: string, options: ReencryptOptions): boolean {
  const { imageId, cipher = header.cipher, chunkSize = header.chunkSize, signers = [], signature } = options;
  return (
    (imageId === undefined || imageId === oldId) &&
    cipher === header.cipher &&
    chunkSize === header.chunkSize &&
    signature === undefined &&
    (signers.length === 0 || store.has('signatures'))
  );
}

/**
 * Removes the old image from the sibling, and then the mark of the new one. Returns where the old one is as long as it
 * is read.
 * @param isOld tells whether what is in the sibling may be the old image
 */
function finish(place: ImagePlace, oldId: string, isOld: (old: ReplacementStore) => boolean): string | undefined {
  place.sync();
  const oldImage = removeOld(place, oldId, isOld);
  if (oldImage !== undefined) return oldImage;
  const store = place.openImage();
  try {
    store.removeMark();
    return undefined;
  } finally {
    store.close();
  }
}

function notReplaced(place: ImagePlace, imageId: string): CkptfsError {
  return new CkptfsError('exists', `${place.siblingPath} is not image ${imageId}, which was replaced`, {
    path: place.siblingPath,
    data: { reason: 'not-empty' },
  });
}

/** Removes the old image, or returns where it is as long as it is read. */
function removeOld(place: ImagePlace, imageId: string, isOld: (old: ReplacementStore) => boolean): string | undefined {
  const old = place.openSibling();
  if (old === undefined) return undefined;
  try {
    if (!isOld(old) || !isImageOrRest(old, imageId)) throw notReplaced(place, imageId);
    old.discard();
    place.sync();
    return undefined;
  } catch (error) {
    if (error instanceof CkptfsError && error.code === 'locked') return place.siblingPath;
    throw error;
  } finally {
    old.close();
  }
}

/** Tells whether a store has the image of an id, or what is left of an image without its header. */
function isImageOrRest(store: Store, imageId: string): boolean {
  return store.sizeOf('ckptfs.json') === undefined || readAnyHeader(store).imageId.toString('hex') === imageId;
}

/**
 * Opens the old image, which may be read by others but not written meanwhile.
 * @param locked is called when the lock of a reader is held, before the header is read
 */
async function withOpened<T>(
  store: Store,
  options: ReencryptOptions,
  work: (image: Image) => Promise<T>,
  locked: () => void = () => undefined,
): Promise<T> {
  const lock = lockForReading(store);
  try {
    readHeader(store);
    locked();
    const header = readHeader(store);
    const signed = options.signature && (await demandSignature(store, header, options.signature));
    const { imageKey } = await unlockHeader(store, header, options);
    try {
      const image = openImage(store, header, imageKey, signed?.manifestDigest);
      if (signed !== undefined) checkEpoch(image, signed.epoch);
      return await work(image);
    } finally {
      imageKey.wipe();
    }
  } finally {
    lock.release();
  }
}

/** Fills the new image and passes it to `work`, once it is whole. */
async function withSealed<T>(
  image: Image,
  plan: ReplacementPlan,
  options: ReencryptOptions,
  work: (replacement: Replacement, contents: SealedCopy) => T,
): Promise<T> {
  for (let left = MAX_ATTEMPTS; left > 0; left--) {
    const replacement = await openReplacement(plan);
    try {
      const contents = await sealCopy(image, replacement, options);
      if (contents !== undefined) return work(replacement, contents);
      replacement.store.discard();
    } finally {
      closeReplacement(replacement);
    }
  }
  throw new CkptfsError('internal', 'a new image is not what was sealed');
}

function planOf(
  image: Image,
  how: 'copy' | 'in-place',
  { recipients, retire = false, cipher = image.header.cipher, chunkSize = image.header.chunkSize }: ReencryptOptions,
  places: Pick<ReplacementPlan, 'find' | 'make'>,
): ReplacementPlan {
  const before = image.header.replaces ?? [];
  const ids = how === 'in-place' || retire ? [image.header.imageId, ...before] : before;
  const replaces = ids.length === 0 ? {} : { replaces: ids.slice(0, MAX_REPLACED) };
  return { mark: markOf(image, how), recipients, cipher, chunkSize, ...replaces, ...places };
}

function markOf(image: Image, how: 'copy' | 'in-place') {
  return { imageId: image.header.imageId.toString('hex'), how };
}

function findIn(destination: string): ReplacementStore | undefined {
  let store: ReplacementStore;
  try {
    store = new ReplacementStore(destination);
  } catch (error) {
    if (error instanceof CkptfsError && (error.code === 'io' || error.code === 'not-an-image')) return undefined;
    throw error;
  }
  return marked(store);
}

/** Returns a store that was made to replace an image; closes any other. */
function marked(store: ReplacementStore | undefined): ReplacementStore | undefined {
  if (store === undefined || store.mark() !== undefined) return store;
  store.close();
  return undefined;
}

function makeBeside(place: ImagePlace, image: Image): ReplacementStore {
  const store = ReplacementStore.make(place.siblingPath, markOf(image, 'in-place'));
  try {
    store.tryExchange();
    return store;
  } catch (error) {
    store.discard();
    store.close();
    throw error;
  }
}

function resultOf(image: Image, { header }: Replacement, contents: SealedCopy, oldImage: string): ReencryptedImage {
  return {
    imageId: header.imageId.toString('hex'),
    previousImageId: image.header.imageId.toString('hex'),
    contents,
    oldImage,
  };
}
