import type { MakeSlots } from '../image/create/new-header.ts';
import type { Recipient } from '../keys/provider.ts';

/** Makes one key slot for each recipient, so that each of them alone opens the image. */
export function slotsFor(recipients: readonly Recipient[]): MakeSlots {
  return (imageKey, imageId) => Promise.all(recipients.map((recipient) => recipient.wrap(imageKey, imageId)));
}
