import { CkptfsError } from '../base/errors.ts';
import type { Secret } from '../crypto/secret.ts';
import { type Header, MAX_SLOTS } from '../format/header.ts';
import { parseSlot, type Slot, slotAlgorithm, slotParameters } from '../format/slot.ts';
import { isSlotLabel, type SlotDescription } from '../format/slot-description.ts';
import { type MakeSlots, writeHeader } from '../image/create/new-header.ts';
import { authenticateHeader, readAnyHeader } from '../image/read/image.ts';
import type { Recipient } from '../keys/provider.ts';
import { openStore, openWritableStore } from '../stores/open-store.ts';
import { checkImageId, type OpenOptions, unlockHeader } from './unlock.ts';

/** A key slot as anyone can see it. Nothing of it is authenticated. */
export interface ListedSlot extends SlotDescription {
  /** From 1. */
  readonly slot: number;
  /** `alg`: A256KW, ECDH-ES+A256KW, …; undefined when it cannot be read. */
  readonly algorithm: string | undefined;
  /** The JWK thumbprint of a public key, in base64url. */
  readonly thumbprint: string | undefined;
}

/** The slots of an image, after a change or without one. */
export interface KeySlots {
  /** 32 hexadecimal digits. */
  readonly imageId: string;
  readonly slots: readonly ListedSlot[];
}

/** The fewest characters of a thumbprint that may stand for the whole. */
const MIN_THUMBPRINT_PREFIX = 8;

/** Makes one key slot for each recipient, so that each of them alone opens the image. */
export function slotsFor(recipients: readonly Recipient[]): MakeSlots {
  return (imageKey, imageId) => Promise.all(recipients.map((recipient) => recipient.wrap(imageKey, imageId)));
}

/**
 * Lists the key slots of an image without opening it.
 * @param imageId refuses an image with another id; 32 hexadecimal digits
 * @throws CkptfsError `not-an-image`, `unfinished`, `unsupported-format`, `damaged`, `wrong-image`, `io`
 */
export function listKeySlots(location: string, imageId?: string): KeySlots {
  const store = openStore(location);
  try {
    const header = readAnyHeader(store);
    checkImageId(store, header, imageId);
    return keySlotsOf(header);
  } finally {
    store.close();
  }
}

/**
 * Adds a slot for each recipient.
 * @throws CkptfsError `bad-argument` when there would be more than 64, or more passphrases than a reader tries;
 * `locked` while another process changes slots; `not-an-image`, `unfinished`, `unsupported-format`, `damaged`,
 * `wrong-image`, `no-key`, `wrong-key`, `io`
 */
export function addKeySlots(
  location: string,
  options: OpenOptions,
  recipients: readonly Recipient[],
): Promise<KeySlots> {
  return changeSlots(location, options, async (slots, imageKey, imageId) => {
    if (slots.length + recipients.length > MAX_SLOTS) {
      throw new CkptfsError('bad-argument', `${location} has ${slots.length} key slots; there can be ${MAX_SLOTS}`);
    }
    return [...slots, ...(await slotsFor(recipients)(imageKey, imageId))];
  });
}

/**
 * Removes a slot. Its key still opens copies of the header, and what it opened once can be known.
 * @param which its number from 1, its label, or the beginning of its thumbprint (8 characters or more)
 * @throws CkptfsError `bad-argument` for the last slot, or when `which` names none or several; others as
 *   {@link addKeySlots}
 */
export function removeKeySlot(location: string, options: OpenOptions, which: string): Promise<KeySlots> {
  return changeSlots(location, options, (slots) => {
    const index = slotIndex(slots, which);
    if (slots.length === 1) {
      throw new CkptfsError('bad-argument', `${location} has one key slot: without it nothing could open the image`);
    }
    return slots.toSpliced(index, 1);
  });
}

/**
 * Puts slots for the recipients in the place of one slot.
 * @param which as for {@link removeKeySlot}
 * @throws CkptfsError `bad-argument`, and others as {@link removeKeySlot} and {@link addKeySlots}
 */
export function replaceKeySlot(
  location: string,
  options: OpenOptions,
  which: string,
  recipients: readonly Recipient[],
): Promise<KeySlots> {
  return changeSlots(location, options, async (slots, imageKey, imageId) =>
    slots.toSpliced(slotIndex(slots, which), 1, ...(await slotsFor(recipients)(imageKey, imageId))),
  );
}

/**
 * Gives a slot another label, or none if it is empty.
 * @param which as for {@link removeKeySlot}
 * @param label at most 128 characters without control characters
 * @throws CkptfsError `bad-argument`, also for a label that is not one, and others as {@link removeKeySlot}
 */
export function labelKeySlot(location: string, options: OpenOptions, which: string, label: string): Promise<KeySlots> {
  return changeSlots(location, options, (slots) => {
    const index = slotIndex(slots, which);
    return slots.with(index, labelled(slots[index] as Slot, label));
  });
}

/** Returns a slot with another label; the empty one takes it away. @throws CkptfsError `bad-argument` */
export function labelled({ header = {}, ...rest }: Slot, label: string): Slot {
  if (label !== '' && !isSlotLabel(label)) {
    throw new CkptfsError('bad-argument', 'a label is one line of at most 128 characters');
  }
  const { label: _, ...others } = header;
  const changed = { ...others, ...(label === '' ? {} : { label }) };
  return parseSlot({ ...rest, ...(Object.keys(changed).length === 0 ? {} : { header: changed }) });
}

/** Opens an image, and puts a header with other slots in place in one step. */
async function changeSlots(
  location: string,
  options: OpenOptions,
  change: (slots: readonly Slot[], imageKey: Secret, imageId: Buffer) => readonly Slot[] | Promise<readonly Slot[]>,
): Promise<KeySlots> {
  const store = openWritableStore(location);
  try {
    // The errors of what is not an image are better than those of its lock.
    readAnyHeader(store);
    const lock = store.lockHeader();
    try {
      const header = readAnyHeader(store);
      const { imageKey } = await unlockHeader(store, header, options);
      try {
        authenticateHeader(store, header, imageKey);
        const slots = await change(header.slots, imageKey, header.imageId);
        return keySlotsOf(writeHeader(store, imageKey, { ...header, slots }, header.slots));
      } finally {
        imageKey.wipe();
      }
    } finally {
      lock.release();
    }
  } finally {
    store.close();
  }
}

function keySlotsOf(header: Header): KeySlots {
  const slots = header.slots.map((slot, index): ListedSlot => {
    const thumbprint = slotParameters(slot)?.get('kid');
    return {
      slot: index + 1,
      algorithm: slotAlgorithm(slot),
      thumbprint: typeof thumbprint === 'string' ? thumbprint : undefined,
      ...slot.header,
    };
  });
  return { imageId: header.imageId.toString('hex'), slots };
}

/** @throws CkptfsError `bad-argument` when `which` names no slot, or several */
function slotIndex(slots: readonly Slot[], which: string): number {
  const found = [...slots.entries()]
    .filter(([index, slot]) => which === `${index + 1}` || isNamed(slot, which))
    .map(([index]) => index);
  if (found.length === 1) return found[0] as number;
  const problem = found.length === 0 ? 'is no slot of this image' : `names ${found.length} slots of this image`;
  throw new CkptfsError('bad-argument', `${which} ${problem}`, { data: { reason: 'key-slot' } });
}

function isNamed(slot: Slot, which: string): boolean {
  if (slot.header?.label === which) return true;
  const thumbprint = slotParameters(slot)?.get('kid');
  return which.length >= MIN_THUMBPRINT_PREFIX && typeof thumbprint === 'string' && thumbprint.startsWith(which);
}
