import { CkptfsError } from '../../base/errors.ts';
import { headerMac } from '../../crypto/header-mac.ts';
import { deriveHeaderMacKey, IMAGE_KEY_SIZE } from '../../crypto/image-keys.ts';
import { Secret } from '../../crypto/secret.ts';
import { primitives } from '../../crypto/select.ts';
import { randomBytes } from '../../crypto/system-random.ts';
import { isChunkSize } from '../../format/geometry.ts';
import {
  authenticatedHeaderBytes,
  encodeHeader,
  type Header,
  type LastingHeader,
  MAX_ITERATIONS_OF_IMAGE,
  MAX_SLOTS,
} from '../../format/header.ts';
import { ID_SIZE } from '../../format/manifest.ts';
import { type Slot, slotAlgorithm, slotParameters } from '../../format/slot.ts';
import { DEFAULT_SUITE, isSlotOfSuite, type SuiteName } from '../../format/suites.ts';
import type { WritableStore } from '../../stores/writable-store.ts';

/** Wraps a new image key, once for each recipient. It is called before any byte is encrypted. */
export type MakeSlots = (imageKey: Secret, imageId: Buffer) => Promise<readonly Slot[]>;

/** What a new image begins with. */
export interface BegunImage {
  readonly header: Header;
  /** The caller wipes it. */
  readonly imageKey: Secret;
}

/** Writes the header of a new image, under a new id and a new image key. @throws CkptfsError `bad-argument`, `io` */
export async function beginHeader(
  store: WritableStore,
  makeSlots: MakeSlots,
  image: Omit<LastingHeader, 'imageId'>,
): Promise<BegunImage> {
  const imageKey = Secret.random(IMAGE_KEY_SIZE);
  try {
    const { suite, cipher, chunkSize, compression, replaces } = image;
    const lasting = {
      imageId: randomBytes(ID_SIZE),
      suite,
      cipher,
      chunkSize,
      compression,
      ...(replaces === undefined ? {} : { replaces }),
    };
    return { header: await writeNewHeader(store, makeSlots, imageKey, lasting), imageKey };
  } catch (error) {
    imageKey.wipe();
    throw error;
  }
}

/** Writes the header of a new image and makes it durable. @throws CkptfsError `bad-argument`, `io` */
export async function writeNewHeader(
  store: WritableStore,
  makeSlots: MakeSlots,
  imageKey: Secret,
  image: LastingHeader,
): Promise<Header> {
  return writeHeader(store, imageKey, { ...image, slots: await makeSlots(imageKey, image.imageId) });
}

/**
 * Writes a header, in the place of the one that there is, and makes it durable. After a crash either is in place.
 * @param before the slots that the image had
 * @throws CkptfsError `bad-argument` as {@link checkSlots}, `io`
 */
export function writeHeader(
  store: WritableStore,
  imageKey: Secret,
  image: Omit<Header, 'mac'>,
  before: readonly Slot[] = [],
): Header {
  checkSlots(image.slots, image.suite, before);
  const macKey = deriveHeaderMacKey(primitives(), imageKey, image.imageId);
  try {
    const header = { ...image, mac: headerMac(primitives(), macKey, authenticatedHeaderBytes(image)) };
    store.publish('ckptfs.json', encodeHeader(header));
    return header;
  } finally {
    macKey.wipe();
  }
}

/**
 * Refuses slots that no image of the suite has, and more passphrases than a reader tries. Slots that ask for too much
 * already can still be changed and removed.
 * @param before the slots that the image had
 * @throws CkptfsError `bad-argument`
 */
export function checkSlots(
  slots: readonly Slot[],
  suite: SuiteName = DEFAULT_SUITE,
  before: readonly Slot[] = [],
): void {
  if (slots.length < 1 || slots.length > MAX_SLOTS) {
    throw new CkptfsError('bad-argument', `${slots.length} key slots: an image has 1 to ${MAX_SLOTS}`);
  }
  const foreign = slots.find((slot) => !isSlotOfSuite(slot, suite));
  if (foreign !== undefined) {
    throw new CkptfsError('bad-argument', `${recipientOf(foreign)}: its algorithm is not of suite ${suite}`, {
      data: { reason: 'suite' },
    });
  }
  const asked = passphraseIterations(slots);
  if (sum(asked) <= MAX_ITERATIONS_OF_IMAGE || sum(asked) <= sum(passphraseIterations(before))) return;
  const fitting = asked.filter((_, index) => sum(asked.slice(0, index + 1)) <= MAX_ITERATIONS_OF_IMAGE).length;
  throw new CkptfsError('bad-argument', `${asked.length} passphrases: an image can have ${fitting} like these`);
}

/** Names whom a slot is for. */
function recipientOf(slot: Slot): string {
  const { kind = 'key', label, subject } = slot.header ?? {};
  return `key slot for ${[kind, label ?? subject].filter((each) => each !== undefined).join(' ')}`;
}

/** Returns the iterations that each passphrase slot asks for. */
function passphraseIterations(slots: readonly Slot[]): readonly number[] {
  return slots
    .filter((slot) => slotAlgorithm(slot)?.startsWith('PBES2-'))
    .map((slot) => Number(slotParameters(slot)?.get('p2c')))
    .filter(Number.isSafeInteger);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, one) => total + one, 0);
}

/** Refuses a chunk size that no image has. @throws CkptfsError `bad-argument` */
export function checkChunkSize(chunkSize: number | undefined): void {
  if (chunkSize !== undefined && !isChunkSize(chunkSize)) {
    throw new CkptfsError('bad-argument', `chunk size ${chunkSize}: must be a power of two from 4096 to 65536`);
  }
}
