import { CkptfsError } from '../base/errors.ts';
import { type Header, MAX_SLOTS } from '../format/header.ts';
import { parseSlot, type Slot, slotAlgorithm, slotThumbprint } from '../format/slot.ts';
import { isSlotLabel, type SlotDescription } from '../format/slot-description.ts';
import { type MakeSlots, writeHeader } from '../image/create/new-header.ts';
import { authenticateHeader, readAnyHeader } from '../image/read/image.ts';
import type { Recipient } from '../keys/provider.ts';
import { openStore, openWritableStore } from '../stores/open-store.ts';
import { slotNamed } from './named-slot.ts';
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
  const check = (slots: readonly Slot[]): void => {
    if (slots.length + recipients.length <= MAX_SLOTS) return;
    throw new CkptfsError('bad-argument', `${location} has ${slots.length} key slots; there can be ${MAX_SLOTS}`);
  };
  return changeSlots(location, options, {
    recipients,
    prepare: check,
    change: (slots, made) => {
      check(slots);
      return [...slots, ...made];
    },
  });
}

/**
 * Removes a slot. Its key still opens copies of the header, and what it opened once can be known.
 * @param which its number from 1, its label, or the beginning of its thumbprint (8 characters or more)
 * @throws CkptfsError `bad-argument` for the last slot, or when `which` names none or several; others as
 *   {@link addKeySlots}
 */
export function removeKeySlot(location: string, options: OpenOptions, which: string): Promise<KeySlots> {
  const check = (slots: readonly Slot[]): void => {
    if (slots.length > 1) return;
    throw new CkptfsError('bad-argument', `${location} has one key slot: without it nothing could open the image`);
  };
  return changeSlots(location, options, {
    prepare: (slots) => {
      const named = slotNamed(slots, which);
      check(slots);
      return named;
    },
    change: (slots, _, named) => {
      check(slots);
      return slots.toSpliced(indexOf(slots, named, which), 1);
    },
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
  return changeSlots(location, options, {
    recipients,
    prepare: (slots) => slotNamed(slots, which),
    change: (slots, made, named) => slots.toSpliced(indexOf(slots, named, which), 1, ...made),
  });
}

/**
 * Gives a slot another label, or none if it is empty.
 * @param which as for {@link removeKeySlot}
 * @param label at most 128 characters without control characters
 * @throws CkptfsError `bad-argument`, also for a label that is not one, and others as {@link removeKeySlot}
 */
export function labelKeySlot(location: string, options: OpenOptions, which: string, label: string): Promise<KeySlots> {
  return changeSlots(location, options, {
    prepare: (slots) => {
      const named = slotNamed(slots, which);
      labelled(named, label);
      return named;
    },
    change: (slots, _, named) => {
      const index = indexOf(slots, named, which);
      return slots.with(index, labelled(slots[index] as Slot, label));
    },
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

/** A change of the slots of an image. */
interface SlotChange<T> {
  /** Who gets new slots. */
  readonly recipients?: readonly Recipient[];
  /** Refuses what can be refused before anyone is asked for a secret. */
  readonly prepare: (slots: readonly Slot[]) => T;
  /**
   * Returns the slots that the image gets.
   * @param slots those that it has now, under the lock
   * @param made the new ones
   * @param prepared what `prepare` returned
   */
  readonly change: (slots: readonly Slot[], made: readonly Slot[], prepared: T) => readonly Slot[];
}

/**
 * Opens an image, and puts a header with other slots in place in one step. Secrets may be asked for, and while that
 * lasts nothing is locked.
 */
async function changeSlots<T>(
  location: string,
  options: OpenOptions,
  { recipients = [], prepare, change }: SlotChange<T>,
): Promise<KeySlots> {
  const store = openWritableStore(location);
  try {
    const before = readAnyHeader(store);
    checkImageId(store, before, options.imageId);
    const prepared = prepare(before.slots);
    // Tells at once when another process changes them, or this one may not.
    store.lockHeader().release();
    const { imageKey } = await unlockHeader(store, before, options);
    try {
      authenticateHeader(store, before, imageKey);
      const made = await slotsFor(recipients)(imageKey, before.imageId);
      const lock = store.lockHeader();
      try {
        const header = readAnyHeader(store);
        authenticateHeader(store, header, imageKey);
        const slots = change(header.slots, made, prepared);
        return keySlotsOf(writeHeader(store, imageKey, { ...header, slots }, header.slots));
      } finally {
        lock.release();
      }
    } finally {
      imageKey.wipe();
    }
  } finally {
    store.close();
  }
}

function keySlotsOf(header: Header): KeySlots {
  return { imageId: header.imageId.toString('hex'), slots: listedSlots(header) };
}

/** Lists the slots of a header, as anyone can see them. */
export function listedSlots(header: Header): readonly ListedSlot[] {
  return header.slots.map((slot, index): ListedSlot => {
    return {
      slot: index + 1,
      algorithm: slotAlgorithm(slot),
      thumbprint: slotThumbprint(slot),
      ...slot.header,
    };
  });
}

/**
 * Finds a slot again, whose number and label may be others by now.
 * @param which named it
 * @throws CkptfsError `bad-argument` when it was removed meanwhile
 */
function indexOf(slots: readonly Slot[], { protected: text, encrypted_key: key }: Slot, which: string): number {
  const index = slots.findIndex((slot) => slot.protected === text && slot.encrypted_key === key);
  if (index >= 0) return index;
  throw new CkptfsError('bad-argument', `${which} is no slot of this image any more`, { data: { reason: 'key-slot' } });
}
