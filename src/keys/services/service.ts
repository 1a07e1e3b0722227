import { Deadline } from '../../base/deadline.ts';
import { CkptfsError } from '../../base/errors.ts';
import type { Secret } from '../../crypto/secret.ts';
import type { Slot } from '../../format/slot.ts';
import { type SlotDescription, type SlotKind, slotInstant } from '../../format/slot-description.ts';
import type { KeyProvider, OpenedSlot } from '../provider.ts';
import { type ServiceName, serviceKeyOf, unwrapByService, wrapByService } from '../slots/service.ts';
import type { SourceOptions } from '../sources/source.ts';
import { checkedSeconds, inSeconds } from '../sources/time-limit.ts';

/** Slots of one image for which a service is asked at most: an attacker who has the storage can write slots. */
export const MAX_ASKED = 8;

/** What a key service opened and made slots with. Nothing is asked before it is needed. */
export interface ServiceProvider extends KeyProvider {
  /**
   * Finds the key that new slots are made with, so that nothing is made when the service does not have it.
   * @throws CkptfsError `key-unavailable`, `bad-key-file`, `interrupted`, `missing-feature`
   */
  prepare(): Promise<void>;
  /**
   * Destroys the one key that was named, for good, or finds that it is destroyed; undefined for a service that cannot.
   * @returns indexes of the slots that were for it
   * @throws CkptfsError `bad-argument` when no slot is for it: it is not destroyed then; as {@link prepare}
   */
  readonly destroyKeyOf?: (slots: readonly Slot[], imageId: Buffer) => Promise<readonly number[]>;
  /** Says that it makes slots for a public key, whose private key another may have, and opens none. */
  readonly isPublicKey?: boolean;
  /** Ends sessions and wipes what is held. */
  wipe(): void;
}

/** Makes a provider of what comes after the `:` of its scheme. @throws CkptfsError `bad-argument` */
export type OpenService = (rest: string, options: SourceOptions) => ServiceProvider;

/** A service that wraps content keys by a key that never leaves it. */
export interface KeyService {
  readonly name: ServiceName;
  /** Names it in messages, and never has a secret: `kmip://kms.example/7`. */
  readonly source: string;
  /** Where the key is, for people who look at a slot: at most 512 characters without control characters, no secret. */
  readonly place: string;
  /**
   * Returns what the service calls the key that new slots are made with: 1 to 512 characters of ASCII, no white space.
   * @throws CkptfsError `key-unavailable`, `bad-key-file`, `interrupted`, `missing-feature`
   */
  keyForMaking(): Promise<string>;
  /**
   * Tells whether a slot with that key id may be asked for. It need not be a key of the service.
   * @throws as {@link keyForMaking}
   */
  mayOpen(keyId: string): boolean | Promise<boolean>;
  /**
   * Wraps a content key of 32 bytes.
   * @param context is authenticated with it, where the service can
   * @returns at most 6000 bytes
   * @throws as {@link keyForMaking}
   */
  wrap(contentKey: Secret, keyId: string, context: Buffer): Promise<Uint8Array>;
  /**
   * Unwraps a content key, which the caller wipes. Returns undefined when the service says that it has not wrapped it.
   * @param wrapped from a slot: anyone may have made it
   * @param deadline of all slots of an image together
   * @throws as {@link keyForMaking}
   */
  unwrap(wrapped: Buffer, keyId: string, context: Buffer, deadline: Deadline): Promise<UnwrappedContent | undefined>;
  /**
   * Revokes a key, where the service knows that, and destroys it. Does nothing to one that is destroyed.
   * @throws as {@link keyForMaking}
   */
  readonly destroy?: (keyId: string) => Promise<void>;
  /** Ends sessions and wipes what is held. May be called again. */
  close(): void;
}

export interface UnwrappedContent {
  readonly contentKey: Secret;
  /** For how long the service lets it be used; undefined when it does not say. */
  readonly leaseSeconds?: number | undefined;
}

/**
 * Makes a provider of a service that wraps content keys itself.
 * @param seconds that the service has to open an image
 */
export function serviceProvider(service: KeyService, kind: SlotKind, seconds = checkedSeconds()): ServiceProvider {
  let key: Promise<string> | undefined;
  const keyForMaking = (): Promise<string> => {
    key ??= service.keyForMaking();
    return key;
  };
  return {
    source: service.source,
    prepare: async () => void (await keyForMaking()),
    wrap: async (imageKey, imageId) => {
      const keyId = await keyForMaking();
      const description: SlotDescription = { kind, subject: service.place, created: slotInstant(new Date()) };
      const wrap = (contentKey: Secret, context: Buffer) => service.wrap(contentKey, keyId, context);
      return wrapByService(imageKey, imageId, service.name, keyId, wrap, description);
    },
    unwrap: async (slots, imageId) => {
      const deadline = Deadline.after(seconds * 1000);
      const refusals: CkptfsError[] = [];
      let asked = 0;
      for (const [index, slot] of slots.entries()) {
        const keyId = serviceKeyOf(slot, imageId, service.name);
        if (keyId === undefined || !(await service.mayOpen(keyId))) continue;
        if (asked++ === MAX_ASKED) break;
        if (deadline.hasPassed) throw outOfTime(service, seconds);
        try {
          const opened = await openSlot(service, slot, keyId, deadline);
          if (opened !== undefined) return { ...opened, slot: index } satisfies OpenedSlot;
        } catch (error) {
          if (!isOfOneSlot(error)) throw error;
          refusals.push(error);
        }
      }
      if (refusals[0] !== undefined) throw refusals[0];
      return undefined;
    },
    ...(service.destroy === undefined ? {} : { destroyKeyOf: destroying(service, service.destroy) }),
    wipe: () => service.close(),
  };
}

async function openSlot(service: KeyService, slot: Slot, keyId: string, deadline: Deadline) {
  let leaseSeconds: number | undefined;
  const imageKey = await unwrapByService(slot, async (wrapped, context) => {
    const unwrapped = await service.unwrap(wrapped, keyId, context, deadline);
    leaseSeconds = unwrapped?.leaseSeconds;
    return unwrapped?.contentKey;
  });
  return imageKey && { imageKey, leaseSeconds };
}

/** What a service may say of one slot, and not of another: its key was revoked, or its registers changed. */
const REASONS_OF_ONE_SLOT: readonly string[] = ['absent', 'command-failed', 'denied', 'refused', 'revoked'];

function isOfOneSlot(error: unknown): error is CkptfsError<'key-unavailable'> {
  const isUnavailable = error instanceof CkptfsError && error.code === 'key-unavailable';
  return isUnavailable && REASONS_OF_ONE_SLOT.includes(error.data?.reason ?? '');
}

function outOfTime({ source }: KeyService, seconds: number): CkptfsError {
  return new CkptfsError('key-unavailable', `${source}: no slot was opened within ${inSeconds(seconds)}`, {
    data: { reason: 'timeout' },
  });
}

/** Returns what destroys the key of the slots that a service may open, if that is one key. */
function destroying(service: KeyService, destroy: (keyId: string) => Promise<void>) {
  return async (slots: readonly Slot[], imageId: Buffer): Promise<readonly number[]> => {
    const found: { readonly keyId: string; readonly index: number }[] = [];
    for (const [index, slot] of slots.entries()) {
      const keyId = serviceKeyOf(slot, imageId, service.name);
      if (keyId !== undefined && (await service.mayOpen(keyId))) found.push({ keyId, index });
    }
    const [keyId, ...others] = new Set(found.map((each) => each.keyId));
    if (keyId === undefined) {
      throw new CkptfsError('bad-argument', `${service.source}: no key slot of this image is for it, so it is kept`);
    }
    if (others.length > 0) throw severalKeys(service.source);
    await destroy(keyId);
    return found.map(({ index }) => index);
  };
}

/** What is thrown where a slot, which anyone may have made, would choose the key that is destroyed. */
export function severalKeys(source: string): CkptfsError {
  return new CkptfsError('bad-argument', `${source}: it stands for several keys; name the one to destroy`);
}
