import { CkptfsError } from '../../base/errors.ts';
import { printable } from '../../base/printable.ts';
import type { Secret } from '../../crypto/secret.ts';
import type { Slot } from '../../format/slot.ts';
import type { SlotDescription } from '../../format/slot-description.ts';
import type { KeyProvider, OpenedSlot } from '../provider.ts';
import { derivationOf, IterationBudget, unwrapByPassphrase, wrapByPassphrase } from '../slots/pbes2.ts';
import { symmetricKeyProvider } from '../symmetric-key.ts';
import type { KeySource } from './source.ts';

/** A provider that reads its secret when it is first needed, and keeps it. */
export interface SourceProvider extends KeyProvider {
  /**
   * Reads the secret, once, before it is needed.
   * @throws CkptfsError `bad-key-file`, `key-unavailable`, `interrupted`, `missing-feature`
   */
  read(purpose: 'open' | 'make'): Promise<Secret>;
  /** Wipes the secret, if it was read. */
  wipe(): void;
}

export interface SourceProviderOptions {
  /** What new slots say of themselves. */
  readonly description?: SlotDescription | undefined;
  /** Shared by all passphrases that are tried on an image. */
  readonly budget?: IterationBudget | undefined;
}

/** Makes a provider of what a source gives. */
export function sourceProvider(source: KeySource, options: SourceProviderOptions = {}): SourceProvider {
  const held = new HeldSecret(source);
  const provider = source.gives === 'key' ? keyProvider(held, options) : passphraseProvider(held, options);
  return { ...provider, read: (purpose) => held.read(purpose), wipe: () => held.wipe() };
}

/** A secret that is read once. */
class HeldSecret {
  readonly source: KeySource;
  #secret: Promise<Secret> | undefined;

  constructor(source: KeySource) {
    this.source = source;
  }

  /** @throws CkptfsError `bad-key-file`, `key-unavailable`, `interrupted`, `missing-feature` */
  read(purpose: 'open' | 'make'): Promise<Secret> {
    this.#secret ??= this.source.read(purpose);
    return this.#secret;
  }

  wipe(): void {
    const secret = this.#secret;
    this.#secret = undefined;
    secret?.then(
      (read) => read.wipe(),
      () => undefined,
    );
  }
}

function keyProvider(held: HeldSecret, { description }: SourceProviderOptions): KeyProvider {
  const { source } = held.source;
  const provider = async (purpose: 'open' | 'make') =>
    symmetricKeyProvider(await held.read(purpose), source, description);
  return {
    source,
    wrap: async (imageKey, imageId) => (await provider('make')).wrap(imageKey, imageId),
    unwrap: async (slots, imageId) => (await provider('open')).unwrap(slots, imageId),
  };
}

/** Reads the passphrase only for an image that has a slot for one: nothing is asked in vain. */
function passphraseProvider(
  held: HeldSecret,
  { description, budget = new IterationBudget() }: SourceProviderOptions,
): KeyProvider {
  const { source } = held.source;
  return {
    source,
    wrap: async (imageKey, imageId) => wrapByPassphrase(imageKey, imageId, await held.read('make'), description),
    unwrap: async (slots, imageId) => {
      const passphraseSlots = slots.flatMap((slot, index) => {
        const derivation = derivationOf(slot, imageId);
        return derivation === undefined ? [] : [{ slot, index, derivation }];
      });
      if (passphraseSlots.length === 0) return undefined;
      const passphrase = await held.read('open');
      const [tried, left]: [string[], string[]] = [[], []];
      for (const { slot, index, derivation } of passphraseSlots) {
        const name = slotName(slot, index);
        if (!budget.spend(imageId, derivation.iterations)) {
          left.push(name);
          continue;
        }
        const imageKey = await unwrapByPassphrase(slot, derivation, passphrase);
        if (imageKey !== undefined) {
          budget.reset(imageId);
          return { imageKey, slot: index } satisfies OpenedSlot;
        }
        tried.push(name);
      }
      throw wrongPassphrase(source, tried, left);
    },
  };
}

function slotName({ header }: Slot, index: number): string {
  return header?.label === undefined ? `${index + 1}` : `${index + 1} ("${printable(header.label)}")`;
}

function wrongPassphrase(source: string, tried: readonly string[], left: readonly string[]): CkptfsError {
  const slots = (names: readonly string[]): string => `slot${names.length === 1 ? '' : 's'} ${names.join(', ')}`;
  const facts = [
    ...(tried.length === 0 ? [] : [`does not open ${slots(tried)} of this image`]),
    ...(left.length === 0 ? [] : [`was not tried on ${slots(left)}, which would be too many iterations for one image`]),
  ];
  return new CkptfsError('wrong-key', `${source} ${facts.join(', and ')}`, {
    ...(left.length === 0 ? {} : { data: { reason: 'untried' } }),
  });
}
