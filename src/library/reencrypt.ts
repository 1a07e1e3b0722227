import { CkptfsError } from '../base/errors.ts';
import { checkCompression, checkLibrary } from '../compression/check-compression.ts';
import type { CipherName } from '../format/ciphers.ts';
import { defaultChunkSize } from '../format/geometry.ts';
import { type Header, MAX_REPLACED, signedHeaderBytes } from '../format/header.ts';
import { checkSuite, type SuiteName } from '../format/suites.ts';
import { refuseInside } from '../image/create/create.ts';
import { checkChunkSize } from '../image/create/new-header.ts';
import { type Image, lockForReading, openImage, readHeader } from '../image/read/image.ts';
import { replacedMac, replacesMac } from '../image/reencrypt/replaces-mac.ts';
import { type SealCopyOptions, type SealedCopy, sealCopy } from '../image/reencrypt/seal-copy.ts';
import type { Recipient } from '../keys/provider.ts';
import { ImagePlace } from '../stores/image-place.ts';
import { checkVacant, openStore } from '../stores/open-store.ts';
import { ReplacementStore, type ReplacesMark } from '../stores/replacement-store.ts';
import type { Store, StoreLock } from '../stores/store.ts';
import { type CompressionChoice, chosenCompression, chosenEffort } from './chosen-compression.ts';
import { checkEpoch, type ReadOptions } from './encrypted-image.ts';
import { type ExchangedImage, finishExchanged, removeExchanged, wholeImage } from './exchanged-image.ts';
import { closeReplacement, openReplacement, type Replacement, type ReplacementPlan } from './replacement.ts';
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
  readonly suite?: SuiteName;
  /** One of the suite. By default that of the old image. */
  readonly cipher?: CipherName;
  /** Bytes: a power of two from 4096 to 65536; by default that of the old image, if compression stays as it is. */
  readonly chunkSize?: number;
  /** By default as that of the old image, at the default level. */
  readonly compression?: CompressionChoice;
}

export interface ReencryptedImage extends ExchangedImage {
  /** What was encrypted; undefined when only the removal of the old image was left to do. */
  readonly contents: SealedCopy | undefined;
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
  checkChunkSize(options.chunkSize);
  if (options.compression !== 'none') checkCompression(options.compression);
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
  const left = findIn(destination);
  if (left === undefined) checkVacant(destination);
  left?.close();
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
    const before = await finishExchanged(place, options);
    if (before !== undefined && 'imageId' in before) return { ...before, contents: undefined };
    const exchanged = await exchange(place, options, before?.saysToReplace);
    // What is in the sibling now is what was exchanged, whatever marks it has.
    return { ...exchanged, oldImage: removeExchanged(place, exchanged.previousImageId, () => true) };
  } finally {
    place.close();
  }
}

/**
 * Makes the new image, and puts it in the place of the old one.
 * @param saysToReplace the id in a mark of the image that nothing vouches for
 */
async function exchange(
  place: ImagePlace,
  options: ReencryptOptions,
  saysToReplace: string | undefined,
): Promise<ReencryptedImage> {
  const store = place.openImage();
  let slotLock: StoreLock | undefined;
  try {
    return await withOpened(
      store,
      options,
      (image) => {
        if (saysToReplace !== undefined) store.removeMark();
        const plan = planOf(image, 'in-place', options, {
          find: () => marked(place.openSibling()),
          make: () => makeBeside(place, image),
        });
        return withSealed(image, plan, options, (replacement, contents) => {
          replacement.store.takeModesOf(store);
          vouchFor(image, replacement, plan.mark);
          place.exchange(store.identity(), replacement.store.identity());
          return resultOf(image, replacement, contents, place.siblingPath);
        });
      },
      () => {
        slotLock = store.lockHeader();
      },
    );
  } catch (error) {
    if (saysToReplace === undefined || !(error instanceof CkptfsError && error.code === 'wrong-key')) throw error;
    const message = `${error.message}; it may be what took the place of image ${saysToReplace}, which is gone`;
    throw new CkptfsError('wrong-key', message, { cause: error });
  } finally {
    slotLock?.release();
    store.close();
  }
}

/** Lets the mark of a whole image be told from one that the storage made. */
function vouchFor(old: Image, { store, header, imageKey }: Replacement, mark: ReplacesMark): void {
  const whole = wholeImage(store, header);
  if (whole === undefined) throw new CkptfsError('internal', 'a new image that was verified is not whole');
  const byOld = replacedMac(old.header, old.imageKey, whole);
  store.vouch(mark, { byNew: replacesMac(header, imageKey, mark.imageId), byOld });
}

/**
 * Opens the old image, which may be read by others but not written meanwhile.
 * @param lockSlots locks its header once no secret is asked for any more
 */
async function withOpened<T>(
  store: Store,
  options: ReencryptOptions,
  work: (image: Image) => Promise<T>,
  lockSlots: () => void = () => undefined,
): Promise<T> {
  const lock = lockForReading(store);
  try {
    const before = readHeader(store);
    const signed = options.signature && (await demandSignature(store, before, options.signature));
    const { imageKey } = await unlockHeader(store, before, options);
    try {
      lockSlots();
      const header = readHeader(store);
      if (signed !== undefined) checkSame(store, before, header);
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

/** Refuses another header than the one that is signed, but for its slots. @throws CkptfsError `damaged` */
function checkSame({ location }: Store, before: Header, header: Header): void {
  if (signedHeaderBytes(before).equals(signedHeaderBytes(header))) return;
  throw new CkptfsError('damaged', `${location}: another header was put in place meanwhile`, { path: location });
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
      const contents = await sealCopy(image, replacement, { ...options, effort: chosenEffort(options.compression) });
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
  { recipients, retire = false, suite = image.header.suite, ...given }: ReencryptOptions,
  places: Pick<ReplacementPlan, 'find' | 'make'>,
): ReplacementPlan {
  const { cipher = image.header.cipher } = given;
  const before = image.header.compression;
  const compression = chosenCompression(given.compression, before);
  const { chunkSize = compression === before ? image.header.chunkSize : defaultChunkSize(compression) } = given;
  checkSuite({ suite, cipher });
  for (const name of [before, compression]) checkLibrary(name);
  const replaced = image.header.replaces ?? [];
  const ids = how === 'in-place' || retire ? [image.header.imageId, ...replaced] : replaced;
  const replaces = ids.length === 0 ? {} : { replaces: ids.slice(0, MAX_REPLACED) };
  return { mark: markOf(image, how), recipients, suite, cipher, chunkSize, compression, ...replaces, ...places };
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
