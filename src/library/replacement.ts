import { CkptfsError } from '../base/errors.ts';
import type { Secret } from '../crypto/secret.ts';
import { type Header, type LastingHeader, MAX_HEADER_SIZE } from '../format/header.ts';
import { slotAlgorithm } from '../format/slot.ts';
import { DEFAULT_SUITE } from '../format/suites.ts';
import { beginHeader, writeHeader } from '../image/create/new-header.ts';
import { authenticateHeader, isAuthenticHeader, readAnyHeader } from '../image/read/image.ts';
import { verifyReplacesMac } from '../image/reencrypt/replaces-mac.ts';
import type { CopyTarget } from '../image/reencrypt/seal-copy.ts';
import { type Identity, type Recipient, unwrapImageKey } from '../keys/provider.ts';
import type { ReplacementStore, ReplacesMark } from '../stores/replacement-store.ts';
import type { StoreLock } from '../stores/store.ts';
import { slotsFor } from './key-slots.ts';

/** An image that takes the place of another: how it is made, and with what. */
export interface ReplacementPlan extends Omit<LastingHeader, 'imageId'> {
  readonly mark: ReplacesMark;
  readonly recipients: readonly Recipient[];
  /** Opens what is at its place; undefined when nothing is, or nothing that was made to replace an image. */
  readonly find: () => ReplacementStore | undefined;
  /** Makes an empty one. @throws CkptfsError `exists`, `missing-feature`, `io` */
  readonly make: () => ReplacementStore;
}

/** A new image that is being filled. Other re-encryptions are kept out. */
export interface Replacement extends CopyTarget {
  readonly store: ReplacementStore;
  readonly lock: StoreLock;
}

/**
 * Opens the new image that an interrupted re-encryption left, or begins another one.
 * @throws CkptfsError `exists`, `locked`, `missing-feature`, `io`
 */
export async function openReplacement(plan: ReplacementPlan): Promise<Replacement> {
  const found = plan.find();
  if (found !== undefined) {
    const resumed = await resumeOrDiscard(found, plan);
    if (resumed !== undefined) return resumed;
  }
  const store = plan.make();
  let lock: StoreLock | undefined;
  try {
    lock = store.hold();
    const begun = await beginHeader(store, slotsFor(plan.recipients), plan);
    return { store, lock, ...begun, isResumed: false };
  } catch (error) {
    lock?.release();
    // Without a header there is nothing to go on with.
    if (lock !== undefined) store.discard();
    store.close();
    throw error;
  }
}

/** Wipes the key and lets go of the image. */
export function closeReplacement({ imageKey, lock, store }: Replacement): void {
  imageKey.wipe();
  lock.release();
  store.close();
}

async function resumeOrDiscard(store: ReplacementStore, plan: ReplacementPlan): Promise<Replacement | undefined> {
  let lock: StoreLock | undefined;
  let resumed: Replacement | undefined;
  try {
    checkMark(store, plan.mark);
    lock = store.hold();
    resumed = await resume(store, lock, plan);
    if (resumed === undefined) store.discard();
    return resumed;
  } finally {
    if (resumed === undefined) {
      lock?.release();
      store.close();
    }
  }
}

/** Refuses what was made to replace another image. A mark that was not written to its end is that of nothing else. */
function checkMark(store: ReplacementStore, { imageId, how }: ReplacesMark): void {
  const mark = store.mark();
  if (mark === 'torn' || (mark?.imageId === imageId && mark.how === how)) return;
  const other = mark === undefined ? 'no image that' : `an image that replaces ${mark.imageId}, not one that`;
  throw new CkptfsError('exists', `${store.location} exists: it is ${other} replaces ${imageId}`, {
    path: store.location,
    data: { reason: 'not-empty' },
  });
}

/** Returns undefined when the new image cannot be trusted, or is not the one that is wanted now. */
async function resume(
  store: ReplacementStore,
  lock: StoreLock,
  plan: ReplacementPlan,
): Promise<Replacement | undefined> {
  if (store.mark() === 'torn' || store.readNamed('ckptfs.json', MAX_HEADER_SIZE) === undefined) return undefined;
  try {
    const header = readAnyHeader(store);
    if (!isAsPlanned(header, plan) || header.imageId.toString('hex') === plan.mark.imageId) return undefined;
    const imageKey = await trustedKey(header, plan.recipients);
    try {
      authenticateHeader(store, header, imageKey);
      const slots = await slotsFor(plan.recipients)(imageKey, header.imageId);
      return { store, lock, imageKey, header: writeHeader(store, imageKey, { ...header, slots }), isResumed: true };
    } catch (error) {
      imageKey.wipe();
      throw error;
    }
  } catch (error) {
    if (error instanceof CkptfsError && UNUSABLE.has(error.code)) return undefined;
    throw error;
  }
}

function isAsPlanned(
  { suite = DEFAULT_SUITE, cipher, chunkSize, compression, replaces = [] }: Header,
  plan: ReplacementPlan,
): boolean {
  const wanted = plan.replaces ?? [];
  return (
    suite === (plan.suite ?? DEFAULT_SUITE) &&
    cipher === plan.cipher &&
    chunkSize === plan.chunkSize &&
    compression === plan.compression &&
    replaces.length === wanted.length &&
    replaces.every((id, at) => wanted[at]?.equals(id) === true)
  );
}

/** How reading a header fails that was not written to its end, or is not one of ours. */
export const UNUSABLE: ReadonlySet<string> = new Set([
  'damaged',
  'not-an-image',
  'unsupported-format',
  'no-key',
  'wrong-key',
]);

/**
 * Opens a slot that only who has the secret of a new recipient can have made. A slot for a public key may be the
 * storage's, with an image key that it knows (format.md §10).
 */
async function trustedKey({ slots, imageId }: Header, recipients: readonly Recipient[]): Promise<Secret> {
  const symmetric = slots.filter((slot) => /^(A\d+KW|PBES2-.*)$/.test(slotAlgorithm(slot) ?? ''));
  return (await unwrapImageKey(symmetric, imageId, recipients.filter(isIdentity))).imageKey;
}

/**
 * Tells whether a secret of the new recipients opens the header of an image, and whether a holder of its image key has
 * vouched for its mark.
 */
export async function isVouchedFor(
  header: Header,
  { imageId, macs }: ReplacesMark,
  recipients: readonly Recipient[],
): Promise<boolean> {
  if (macs === undefined) return false;
  try {
    const imageKey = await trustedKey(header, recipients);
    try {
      return isAuthenticHeader(header, imageKey) && verifyReplacesMac(header, imageKey, imageId, macs.byNew);
    } finally {
      imageKey.wipe();
    }
  } catch (error) {
    if (error instanceof CkptfsError && UNUSABLE.has(error.code)) return false;
    throw error;
  }
}

function isIdentity(recipient: Recipient): recipient is Recipient & Identity {
  return 'unwrap' in recipient;
}
