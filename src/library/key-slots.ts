import type { MakeSlots } from '../image/create/new-header.ts';
import type { KeyProvider } from '../keys/provider.ts';

/** Makes one key slot by each provider, so that each of them alone opens the image. */
export function slotsFor(providers: readonly KeyProvider[]): MakeSlots {
  return (imageKey) => Promise.all(providers.map((provider) => provider.wrap(imageKey)));
}
