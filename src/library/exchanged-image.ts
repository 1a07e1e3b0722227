import { CkptfsError } from '../base/errors.ts';
import { Secret } from '../crypto/secret.ts';
import type { Signer } from '../crypto/signer.ts';
import type { CipherName } from '../format/ciphers.ts';
import { type Header, MAX_HEADER_SIZE } from '../format/header.ts';
import { MAX_MANIFEST_SIZE } from '../format/manifest-envelope.ts';
import { type Slot, slotParameters } from '../format/slot.ts';
import { DEFAULT_SUITE, type SuiteName } from '../format/suites.ts';
import { authenticateHeader, readAnyHeader } from '../image/read/image.ts';
import { verifyReplacedMac, type WholeImage } from '../image/reencrypt/replaces-mac.ts';
import { isSignedBy } from '../image/signatures/signed-by.ts';
import type { Recipient } from '../keys/provider.ts';
import type { ImagePlace } from '../stores/image-place.ts';
import type { ReplacementStore, ReplacesMark } from '../stores/replacement-store.ts';
import type { Store, StoreLock } from '../stores/store.ts';
import { type CompressionChoice, chosenCompression } from './chosen-compression.ts';
import type { ReadOptions } from './encrypted-image.ts';
import { slotsFor } from './key-slots.ts';
import { isVouchedFor, UNUSABLE } from './replacement.ts';
import { unlockHeader } from './unlock.ts';

/** An image that took the place of another one. */
export interface ExchangedImage {
  /** 32 hexadecimal digits. */
  readonly imageId: string;
  /** The id of the old image. */
  readonly previousImageId: string;
  /** Where the old image still is. Undefined when it was removed. */
  readonly oldImage: string | undefined;
}

/** How the old image is opened, and what the new one is to be. */
export interface ExchangeOptions extends ReadOptions {
  readonly recipients: readonly Recipient[];
  readonly signers?: readonly Signer[];
  readonly suite?: SuiteName;
  readonly cipher?: CipherName;
  readonly chunkSize?: number;
  readonly compression?: CompressionChoice;
}

/**
 * Does what an interrupted re-encryption left to do when the new image was in place. That counts only where the image
 * is what is wanted now, and where what was left is vouched for: by a secret of the new recipients, by the key of the
 * old image that is beside it, or, where nothing is beside it, by the signers (format.md §10).
 * @returns undefined where there is no such mark, and what the mark says where nothing vouches for it; then everything
 *   is still to be done
 * @throws CkptfsError `exists` when something is beside the image that this cannot decide about, `wrong-key`, `io`
 */
export async function finishExchanged(
  place: ImagePlace,
  options: ExchangeOptions,
): Promise<ExchangedImage | { readonly saysToReplace: string } | undefined> {
  const store = place.openImage();
  let lock: StoreLock | undefined;
  try {
    const mark = store.mark();
    if (mark === undefined || mark === 'torn' || mark.how !== 'in-place') return undefined;
    lock = store.hold();
    const header = readAnyHeader(store);
    place.removeEmptySibling();
    if (await isDone(place, store, header, mark, options)) {
      const oldImage = removeExchanged(place, mark.imageId, (old) => old.mark() === undefined);
      return { imageId: header.imageId.toString('hex'), previousImageId: mark.imageId, oldImage };
    }
    const sibling = place.openSibling();
    if (sibling === undefined) return { saysToReplace: mark.imageId };
    try {
      throw isImage(sibling, mark.imageId) ? notVouchedFor(place, mark.imageId) : notReplaced(place, mark.imageId);
    } finally {
      sibling.close();
    }
  } finally {
    lock?.release();
    store.close();
  }
}

/**
 * Removes the old image from the sibling, and then the mark of the new one. Returns where the old one is as long as it
 * is read.
 * @param isOld tells whether what is in the sibling may be the old image
 */
export function removeExchanged(
  place: ImagePlace,
  oldId: string,
  isOld: (old: ReplacementStore) => boolean,
): string | undefined {
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

/** Reads the files that lead to every byte of an image; undefined where one is missing. @throws CkptfsError `io` */
export function wholeImage(store: Store, { imageId }: Header): WholeImage | undefined {
  const header = store.readNamed('ckptfs.json', MAX_HEADER_SIZE);
  const manifest = store.has('journal') ? undefined : store.readNamed('manifest', MAX_MANIFEST_SIZE);
  return header && manifest && { imageId: imageId.toString('hex'), header, manifest };
}

/** Tells whether the image is the whole result of a re-encryption with these options. */
async function isDone(
  place: ImagePlace,
  store: ReplacementStore,
  header: Header,
  mark: ReplacesMark,
  options: ExchangeOptions,
): Promise<boolean> {
  const { recipients, signers = [] } = options;
  if (!isWanted(header, mark.imageId, options)) return false;
  if (!(await isSignedBy(store, header, signers))) return false;
  if (await isVouchedFor(header, mark, recipients)) return true;
  if (!(await isMadeFor(header, recipients))) return false;
  const old = place.openSibling();
  // A signature covers the id of the image that was replaced. Without one, nothing says what was here.
  if (old === undefined) return signers.length > 0 && header.replaces?.[0]?.toString('hex') === mark.imageId;
  try {
    return await isVouchedForByOld(old, wholeImage(store, header), mark, options);
  } finally {
    old.close();
  }
}

/** Tells whether an image is as a re-encryption with these options leaves it. */
function isWanted(header: Header, oldId: string, options: ExchangeOptions): boolean {
  const { suite = DEFAULT_SUITE, cipher, chunkSize, compression } = header;
  const isAsAsked =
    (options.suite ?? suite) === suite &&
    (options.cipher ?? cipher) === cipher &&
    (options.chunkSize ?? chunkSize) === chunkSize &&
    chosenCompression(options.compression, compression) === compression;
  const { imageId, signature } = options;
  const isOfOld = imageId === undefined || imageId === oldId;
  return isOfOld && isAsAsked && signature === undefined;
}

/** Tells whether an image has slots for these public keys, and no others. */
async function isMadeFor(header: Header, recipients: readonly Recipient[]): Promise<boolean> {
  const any = Secret.random(32);
  try {
    const [wanted, found] = [await slotsFor(recipients)(any, header.imageId), header.slots].map(thumbprints);
    return wanted?.includes(undefined) === false && `${wanted}` === `${found}`;
  } finally {
    any.wipe();
  }
}

function thumbprints(slots: readonly Slot[]): readonly unknown[] {
  return slots.map((slot) => slotParameters(slot)?.get('kid')).sort();
}

/** Tells whether a holder of the key of the old image has vouched for the new one. */
async function isVouchedForByOld(
  old: Store,
  whole: WholeImage | undefined,
  { imageId, macs }: ReplacesMark,
  options: ExchangeOptions,
): Promise<boolean> {
  if (macs === undefined || whole === undefined) return false;
  const header = headerOf(old);
  if (header?.imageId.toString('hex') !== imageId) return false;
  const { imageKey } = await unlockHeader(old, header, options);
  try {
    authenticateHeader(old, header, imageKey);
    return verifyReplacedMac(header, imageKey, whole, macs.byOld);
  } finally {
    imageKey.wipe();
  }
}

function headerOf(store: Store): Header | undefined {
  try {
    return readAnyHeader(store);
  } catch (error) {
    const isUnusable = error instanceof CkptfsError && (UNUSABLE.has(error.code) || error.code === 'unfinished');
    if (isUnusable) return undefined;
    throw error;
  }
}

function isImage(store: Store, imageId: string): boolean {
  return headerOf(store)?.imageId.toString('hex') === imageId;
}

function notVouchedFor({ siblingPath: path }: ImagePlace, imageId: string): CkptfsError {
  return new CkptfsError('exists', `${path} is image ${imageId}, and it is not certain what took its place`, {
    path,
    data: { reason: 'not-vouched-for' },
  });
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
