import { CkptfsError } from '../../base/errors.ts';
import type { Secret } from '../../crypto/secret.ts';
import { randomBytes } from '../../crypto/system-random.ts';
import { type Slot, slotAlgorithm } from '../../format/slot.ts';
import { type SlotDescription, slotInstant } from '../../format/slot-description.ts';
import { isIdentifier, type KmipAddress, parseKmipAddress } from '../kmip/address.ts';
import { KmipClient, type Leased } from '../kmip/client.ts';
import type { KeyProvider } from '../provider.ts';
import { serviceKeyOf } from '../slots/service.ts';
import { checkedSeconds } from '../sources/time-limit.ts';
import { symmetricKeyProvider } from '../symmetric-key.ts';
import { type KeyService, type OpenService, type ServiceProvider, serviceProvider, severalKeys } from './service.ts';

const IV_SIZE = 12;
/** Size of what is in a slot: a vector of 12 bytes, a content key of 32 bytes encrypted, a tag of 16 bytes. */
const WRAPPED_SIZE = 60;
/** Characters of {@link KeyService.place} at most. */
const MAX_PLACE_LENGTH = 512;

/**
 * `kmip://HOST[:PORT][,HOST…]/KEY`: a server of KMIP wraps content keys or, where it does not encrypt or the address
 * says so, gives its key for slots of AES Key Wrap.
 */
export const openService: OpenService = (rest, options) => {
  const address = parseKmipAddress(rest);
  return kmipProvider(address, new KmipClient(address, options), checkedSeconds(options.timeoutSeconds));
};

function kmipProvider(address: KmipAddress, client: KmipClient, seconds: number): ServiceProvider {
  const service = kmipService(address, client);
  const wrapping = serviceProvider(service, 'kmip', seconds);
  const fetched = new FetchedKey(service, client);
  const fetches = async (): Promise<boolean> => address.fetchesKey || !(await client.canEncrypt());
  return {
    ...wrapping,
    prepare: async () => {
      client.startTime();
      await wrapping.prepare();
      if (await fetches()) await fetched.provider();
    },
    wrap: async (imageKey, imageId) => {
      client.startTime();
      return ((await fetches()) ? await fetched.provider() : wrapping).wrap(imageKey, imageId);
    },
    unwrap: async (slots, imageId) => {
      client.startTime();
      const opened = await wrapping.unwrap(slots, imageId);
      if (opened !== undefined || address.key === undefined) return opened;
      if (!slots.some((slot) => isForFetchedKey(slot, address))) return undefined;
      if (!(await fetches())) throw needsFetching(client.source);
      const byKey = await (await fetched.provider()).unwrap(slots, imageId);
      return byKey && { ...byKey, leaseSeconds: await fetched.leaseSeconds() };
    },
    destroyKeyOf: async (slots, imageId) => {
      client.startTime();
      // What a slot says would choose the key.
      if (address.key === undefined) throw new CkptfsError('bad-argument', `${client.source} names no key to destroy`);
      const [, ...others] = isIdentifier(address.key) ? [] : await client.find(address.key);
      if (others.length > 0) throw severalKeys(client.source);
      const isWrapped = slots.some((slot) => serviceKeyOf(slot, imageId, 'kmip') !== undefined);
      if (isWrapped || !(await fetches())) return (await wrapping.destroyKeyOf?.(slots, imageId)) ?? [];
      return fetched.destroyKeyOf(slots, imageId);
    },
    wipe: () => {
      fetched.wipe();
      wrapping.wipe();
    },
  };
}

function kmipService(address: KmipAddress, client: KmipClient): KeyService {
  let found: readonly string[] | undefined;
  const find = async (key: string): Promise<readonly string[]> => {
    found ??= await client.find(key);
    return found;
  };
  return {
    name: 'kmip',
    source: client.source,
    place: address.text.slice(0, MAX_PLACE_LENGTH),
    keyForMaking: async () => {
      if (address.key !== undefined) return activeKey(client, await find(address.key));
      throw new CkptfsError('bad-argument', `${client.source} names no key, which a new key slot needs`);
    },
    mayOpen: async (keyId) => {
      const { key } = address;
      if (key === undefined || key === keyId) return true;
      return !isIdentifier(key) && (await find(key)).includes(keyId);
    },
    wrap: (contentKey, keyId, context) => client.encrypt(keyId, contentKey, randomBytes(IV_SIZE), context),
    unwrap: async (wrapped, keyId, context) => {
      if (wrapped.length !== WRAPPED_SIZE) return undefined;
      const opened = await client.decrypt(keyId, wrapped, context);
      return opened && { contentKey: opened.value, leaseSeconds: opened.leaseSeconds };
    },
    destroy: (keyId) => client.destroy(keyId).catch(passIfGone),
    close: () => client.close(),
  };
}

/** Passes over the error that there is no such key, and throws any other. */
function passIfGone(error: unknown): void {
  const reason = error instanceof CkptfsError && error.code === 'key-unavailable' ? error.data?.reason : undefined;
  if (reason !== 'absent' && reason !== 'revoked') throw error;
}

/** Returns the one key that is active: of keys of one name, older ones may have been revoked. */
async function activeKey(client: KmipClient, ids: readonly string[]): Promise<string> {
  const [first = '', ...others] = ids;
  if (others.length > 0) {
    const active: string[] = [];
    for (const id of ids) if ((await client.attributes(id)).state === 'active') active.push(id);
    if (active.length > 1) throw ambiguous(client.source, active);
    if (active[0] !== undefined) return active[0];
  }
  await client.checkActive(first);
  return first;
}

/** A key that was fetched, once, from the server. */
class FetchedKey {
  readonly #service: KeyService;
  readonly #client: KmipClient;
  #key: Promise<Leased<Secret>> | undefined;

  constructor(service: KeyService, client: KmipClient) {
    this.#service = service;
    this.#client = client;
  }

  async provider(): Promise<KeyProvider> {
    const { source, place } = this.#service;
    const description: SlotDescription = { kind: 'kmip', subject: place, created: slotInstant(new Date()) };
    return symmetricKeyProvider((await this.#fetched()).value, source, description);
  }

  async leaseSeconds(): Promise<number | undefined> {
    return (await this.#fetched()).leaseSeconds;
  }

  /** Destroys the key when it opens a slot, whose index it returns. @throws as `ServiceProvider.destroyKeyOf` */
  async destroyKeyOf(slots: readonly Slot[], imageId: Buffer): Promise<readonly number[]> {
    const opened = await (await this.provider()).unwrap(slots, imageId);
    if (opened?.slot === undefined) {
      throw new CkptfsError(
        'bad-argument',
        `${this.#client.source}: it opens no key slot of this image, so it is kept`,
      );
    }
    opened.imageKey.wipe();
    this.wipe();
    await this.#client.destroy(await this.#service.keyForMaking());
    return [opened.slot];
  }

  wipe(): void {
    const key = this.#key;
    this.#key = undefined;
    key?.then(
      ({ value }) => value.wipe(),
      () => undefined,
    );
  }

  #fetched(): Promise<Leased<Secret>> {
    this.#key ??= this.#service.keyForMaking().then((id) => this.#client.get(id));
    return this.#key;
  }
}

/**
 * Tells whether a key is worth fetching for a slot. Without being told so, that is for slots alone that say that they
 * were made with a key of a server, so that no other image makes a server give its key away.
 */
function isForFetchedKey(slot: Slot, { fetchesKey }: KmipAddress): boolean {
  return /^A\d+KW$/.test(slotAlgorithm(slot) ?? '') && (fetchesKey || slot.header?.kind === 'kmip');
}

function needsFetching(source: string): CkptfsError {
  const message = `${source} opens no slot of this image; for a slot of the key itself, add ?use=get`;
  return new CkptfsError('wrong-key', message);
}

function ambiguous(source: string, ids: readonly string[]): CkptfsError {
  const message = `${source}: ${ids.length} active keys have this name; name one by its identifier: ${ids.join(', ')}`;
  return new CkptfsError('key-unavailable', message.slice(0, 400), { data: { reason: 'refused' } });
}
