import { CkptfsError } from '../base/errors.ts';
import type { Secret } from '../crypto/secret.ts';
import type { SlotJwe } from '../format/slot.ts';

/** A source of wrapping keys, such as a key file. */
export interface KeyProvider {
  /** Names the source in messages: `key file`. */
  readonly kind: string;
  /** Makes a new slot that holds the image key. */
  wrap(imageKey: Secret): Promise<SlotJwe>;
  /** Tries the slots in order, and skips those it has no key for. Returns undefined when it can open none. */
  unwrap(slots: readonly SlotJwe[]): Promise<Secret | undefined>;
}

/**
 * Returns the image key from the first provider that opens a slot. The caller wipes it.
 * @throws CkptfsError `no-key` without a provider; `wrong-key` when none opens a slot
 */
export async function unwrapImageKey(slots: readonly SlotJwe[], providers: readonly KeyProvider[]): Promise<Secret> {
  if (providers.length === 0) throw new CkptfsError('no-key', 'no key was given');
  for (const provider of providers) {
    const imageKey = await provider.unwrap(slots);
    if (imageKey !== undefined) return imageKey;
  }
  const tried = [...new Set(providers.map((provider) => provider.kind))].join(', ');
  const count = slots.length === 1 ? 'the one key slot' : `any of the ${slots.length} key slots`;
  throw new CkptfsError('wrong-key', `the given ${tried} does not open ${count} of this image`);
}
