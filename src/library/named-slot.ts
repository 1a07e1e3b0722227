import { CkptfsError } from '../base/errors.ts';
import { type Slot, slotThumbprint } from '../format/slot.ts';

/** The fewest characters of a thumbprint that may stand for the whole. */
const MIN_THUMBPRINT_PREFIX = 8;

/**
 * Finds the slot that a user names.
 * @param which its number from 1, its label, or the beginning of its thumbprint (8 characters or more)
 * @throws CkptfsError `bad-argument` when it names no slot, or several
 */
export function slotNamed(slots: readonly Slot[], which: string): Slot {
  const found = slots.filter((slot, index) => which === `${index + 1}` || isNamed(slot, which));
  if (found.length === 1) return found[0] as Slot;
  const problem = found.length === 0 ? 'is no slot of this image' : `names ${found.length} slots of this image`;
  throw new CkptfsError('bad-argument', `${which} ${problem}`, { data: { reason: 'key-slot' } });
}

function isNamed(slot: Slot, which: string): boolean {
  if (slot.header?.label === which) return true;
  return which.length >= MIN_THUMBPRINT_PREFIX && slotThumbprint(slot)?.startsWith(which) === true;
}
