import type { ErrorData } from '../base/error-data.ts';
import { CkptfsError } from '../base/errors.ts';
import type { PrivateKey } from '../crypto/private-key.ts';
import type { Secret } from '../crypto/secret.ts';
import { isOfOtherImage, type Slot, slotAlgorithm } from '../format/slot.ts';

/** What an image can be encrypted for: a key, a passphrase, or a public key. */
export interface Recipient {
  /** Names it in messages: `key file k`, `certificate host.crt`. */
  readonly source: string;
  /** Makes a new slot that holds the image key. @param imageId 16 bytes */
  wrap(imageKey: Secret, imageId: Buffer): Promise<Slot>;
}

/** What an image can be opened with: a key, a passphrase, or a private key. */
export interface Identity {
  /** Names it in messages: `key file k`, `private key host.pem`. */
  readonly source: string;
  /**
   * Tries the slots in order, and skips those it has no key for. Returns undefined when it can open none.
   * @param imageId 16 bytes
   */
  unwrap(slots: readonly Slot[], imageId: Buffer): Promise<OpenedSlot | undefined>;
  /**
   * Runs `use` with its private keys, for what does not say which one opens it. Undefined for what has none. The keys
   * are gone afterwards, unless they are held anyway.
   * @param all whether a directory of keys opens those that a passphrase protects, too
   * @throws CkptfsError `bad-key-file`; what `use` throws
   */
  readonly withPrivateKeys?: <T>(all: boolean, use: (keys: readonly NamedPrivateKey[]) => Promise<T>) => Promise<T>;
}

/** A private key, and what messages call it: `private key host.pem`. */
export interface NamedPrivateKey {
  readonly source: string;
  readonly key: PrivateKey;
}

/** A secret that both makes and opens slots. */
export interface KeyProvider extends Recipient, Identity {}

export interface OpenedSlot {
  /** The caller wipes it. */
  readonly imageKey: Secret;
  /** Index of the slot, from 0; undefined for a key that needed none. */
  readonly slot: number | undefined;
  /** For how long the service that opened the slot lets the key be used, in seconds; undefined when it did not say. */
  readonly leaseSeconds?: number | undefined;
  /** When that was, in seconds since the host was started; undefined for just now. */
  readonly fetchedAt?: number | undefined;
  /** Whether another process had fetched it. */
  readonly isShared?: boolean | undefined;
}

/** An image that is open, and what opened it. */
export interface UnwrappedKey extends OpenedSlot {
  /** {@link Identity.source} of what opened the slot. */
  readonly source: string;
}

/**
 * Opens the first slot that one of the identities opens, in the order of the identities. The caller wipes the key.
 * @param imageId 16 bytes
 * @throws CkptfsError `damaged` when all slots are of other images; `no-key` without an identity; `wrong-key` when
 *   none opens a slot, as those identities say that know more about it; `key-unavailable` when none opens a slot and
 *   one may not be used any more; what else an identity throws, at once
 */
export async function unwrapImageKey(
  slots: readonly Slot[],
  imageId: Buffer,
  identities: readonly Identity[],
): Promise<UnwrappedKey> {
  if (slots.every((slot) => isOfOtherImage(slot, imageId))) {
    throw new CkptfsError('damaged', 'the header has key slots of other images only');
  }
  if (identities.length === 0) {
    throw new CkptfsError('no-key', 'no key was given', {
      data: { needs: neededFor(slots) },
    });
  }
  const wrongKeys: CkptfsError<'wrong-key'>[] = [];
  const refusals: CkptfsError[] = [];
  for (const identity of identities) {
    try {
      const opened = await identity.unwrap(slots, imageId);
      if (opened !== undefined) return { ...opened, source: identity.source };
    } catch (error) {
      if (!(error instanceof CkptfsError)) throw error;
      if (error.code === 'wrong-key') wrongKeys.push(error as CkptfsError<'wrong-key'>);
      else if (mayNotBeUsed(error)) refusals.push(error);
      else throw error;
    }
  }
  if (refusals[0] !== undefined) throw refusals[0];
  if (wrongKeys.length > 0) throw together(wrongKeys);
  const tried = listed([...new Set(identities.map(({ source }) => source))]);
  const count = slots.length === 1 ? 'the one key slot' : `any of the ${slots.length} key slots`;
  throw new CkptfsError(
    'wrong-key',
    `${tried} ${identities.length === 1 ? 'does' : 'do'} not open ${count} of this image`,
  );
}

/** Tells whether a key was taken away, as one is when another has taken its place. */
function mayNotBeUsed(error: CkptfsError): boolean {
  if (error.code !== 'key-unavailable') return false;
  return ['absent', 'denied', 'revoked'].includes((error as CkptfsError<'key-unavailable'>).data?.reason ?? '');
}

/** Returns what opens the first slot that this version knows. */
export function neededFor(slots: readonly Slot[]): ErrorData<'no-key'>['needs'] {
  for (const slot of slots) {
    const algorithm = slotAlgorithm(slot) ?? '';
    if (/^A\d+KW$/.test(algorithm)) return 'key';
    if (algorithm.startsWith('PBES2-')) return 'passphrase';
    if (/^(RSA|ECDH)-/.test(algorithm)) return 'private-key';
    if (algorithm.startsWith('ckptfs-')) return 'key-service';
  }
  return 'key';
}

/** Makes one error of what several identities say. */
function together(errors: readonly CkptfsError<'wrong-key'>[]): CkptfsError<'wrong-key'> {
  const messages = [...new Set(errors.map(({ message }) => message))];
  const isUntried = errors.some(({ data }) => data?.reason === 'untried');
  return new CkptfsError('wrong-key', messages.join('; '), {
    ...(isUntried ? { data: { reason: 'untried' } } : {}),
    cause: errors[0],
  });
}

function listed(names: readonly string[]): string {
  return names.length < 2 ? names.join() : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`;
}
