import { CkptfsError } from '../../base/errors.ts';
import { printable } from '../../base/printable.ts';
import type { Secret } from '../../crypto/secret.ts';
import type { SourceOptions } from '../sources/source.ts';
import { type KmipAddress, keyPath } from './address.ts';
import type { KeyAttributes } from './attributes.ts';
import { OperationFailure } from './messages.ts';
import * as ask from './operations.ts';
import { Servers, type Work } from './servers.ts';
import type { Session } from './session.ts';
import { type KeyState, type RevocationReason, resultReason } from './tags.ts';

/** What is fetched or opened by a key, with for how long the server lets it be used. */
export interface Leased<T> {
  readonly value: T;
  /** Undefined where the server gives no leases. */
  readonly leaseSeconds: number | undefined;
}

/** What the servers of an address do, each operation by the first of them that answers. */
export class KmipClient {
  /** Names servers and key in messages. */
  readonly source: string;
  readonly #address: KmipAddress;
  readonly #servers: Servers;

  /** @throws CkptfsError `bad-argument` */
  constructor(address: KmipAddress, options: SourceOptions) {
    this.#address = address;
    this.source = address.text;
    this.#servers = new Servers(address, options);
  }

  /** Gives the whole time to all that is asked from now on, together, in place of each time anew. */
  startTime(): void {
    this.#servers.startTime();
  }

  /** Tells whether the server encrypts and decrypts by AES-GCM with additional data. @throws as {@link encrypt} */
  canEncrypt(): Promise<boolean> {
    return this.#servers.use(ask.canEncrypt);
  }

  /**
   * Returns the unique identifiers of the keys that a text names: that of which it is the identifier, or else those
   * whose name it is.
   * @throws as {@link encrypt}
   */
  find(key: string): Promise<readonly string[]> {
    return this.#on(key, (session, signal) => ask.find(session, key, signal));
  }

  /** Returns the identifiers of all keys that this client may see. @throws as {@link encrypt} */
  list(): Promise<readonly string[]> {
    return this.#servers.use((session, signal) => ask.locate(session, undefined, signal));
  }

  /** @throws as {@link encrypt} */
  attributes(id: string): Promise<KeyAttributes> {
    return this.#on(id, (session, signal) => ask.attributes(session, id, signal));
  }

  /**
   * Refuses a key that is not active.
   * @throws as {@link encrypt}
   */
  checkActive(id: string): Promise<void> {
    return this.#on(id, (session, signal) => this.#checkActive(session, id, signal));
  }

  /**
   * Encrypts by AES-256-GCM.
   * @param iv 12 bytes
   * @returns the vector ‖ the ciphertext ‖ the tag of 16 bytes
   * @throws CkptfsError `key-unavailable`, `bad-key-file`, `interrupted`
   */
  encrypt(id: string, data: Secret, iv: Uint8Array, context: Uint8Array): Promise<Buffer> {
    return this.#on(id, async (session, signal) => {
      await this.#checkActive(session, id, signal);
      return ask.encrypt(session, { id, data: data.bytes, iv, context }, signal);
    });
  }

  /**
   * Decrypts what {@link encrypt} returned. Undefined when the server says that it is not authentic.
   * @throws as {@link encrypt}
   */
  decrypt(id: string, sealed: Uint8Array, context: Uint8Array): Promise<Leased<Secret> | undefined> {
    return this.#on(id, async (session, signal) => {
      await this.#checkActive(session, id, signal);
      const value = await ask.decrypt(session, { id, sealed, context }, signal);
      return value && withLease(session, id, value, signal);
    });
  }

  /** Fetches a key of 16, 24 or 32 bytes. @throws as {@link encrypt} */
  get(id: string): Promise<Leased<Secret>> {
    return this.#on(id, async (session, signal) => {
      await this.#checkActive(session, id, signal);
      return withLease(session, id, await ask.get(session, id, signal), signal);
    });
  }

  /** Makes a key of AES-256 that is active, and returns its identifier. @throws as {@link encrypt} */
  create(name: string): Promise<string> {
    return this.#on(
      name,
      async (session, signal) => {
        const id = await ask.create(session, name, signal);
        await ask.activate(session, id, signal);
        return id;
      },
      // A server that is cut off may have made the key.
      false,
    );
  }

  /** @throws as {@link encrypt} */
  activate(id: string): Promise<void> {
    return this.#on(id, (session, signal) => ask.activate(session, id, signal), false);
  }

  /** @param message for the records of the server @throws as {@link encrypt} */
  revoke(id: string, reason: RevocationReason, message?: string): Promise<void> {
    return this.#on(id, (session, signal) => ask.revoke(session, id, { reason, message }, signal), false);
  }

  /** Destroys a key, which is revoked first if it is active. @throws as {@link encrypt} */
  destroy(id: string): Promise<void> {
    return this.#on(
      id,
      async (session, signal) => {
        const { state } = await ask.attributes(session, id, signal);
        if (state?.startsWith('destroyed')) return;
        if (state === 'active') await ask.revoke(session, id, { reason: 'cessation-of-operation' }, signal);
        await ask.destroy(session, id, signal);
      },
      false,
    );
  }

  close(): void {
    this.#servers.close();
  }

  /** Does work, and names server and key in what the server refuses. @param mayRepeat as `Servers.use` has it */
  #on<T>(key: string, work: Work<T>, mayRepeat = true): Promise<T> {
    return this.#servers.use(async (session, signal) => {
      try {
        return await work(session, signal);
      } catch (error) {
        throw error instanceof OperationFailure ? refusal(this.#nameOf(session, key), error) : error;
      }
    }, mayRepeat);
  }

  async #checkActive(session: Session, id: string, signal: AbortSignal): Promise<void> {
    const { state } = await ask.attributes(session, id, signal);
    if (state === 'active') return;
    const data = { reason: state === 'pre-active' || state === undefined ? 'denied' : 'revoked' } as const;
    throw new CkptfsError('key-unavailable', `${this.#nameOf(session, id)}: ${stateProblem(state)}`, { data });
  }

  #nameOf({ server }: Session, key: string): string {
    return this.#address.servers.length === 1 && this.#address.key === key
      ? this.source
      : `kmip://${server.text}/${keyPath(key)}`;
  }
}

/** Returns a secret with its lease; wipes it where there is none to be had. */
async function withLease(session: Session, id: string, value: Secret, signal: AbortSignal): Promise<Leased<Secret>> {
  try {
    return { value, leaseSeconds: await ask.lease(session, id, signal) };
  } catch (error) {
    value.wipe();
    throw error;
  }
}

function stateProblem(state: KeyState | undefined): string {
  if (state === undefined) return 'the server does not say whether the key is active';
  return state === 'pre-active' ? 'the key is not active yet' : `the key is ${state.replace('-', ' and ')}`;
}

const { itemNotFound, objectNotFound, objectDestroyed, permissionDenied, notAuthorised } = resultReason;
const DENIALS: readonly (number | undefined)[] = [
  permissionDenied,
  notAuthorised,
  resultReason.authenticationNotSuccessful,
];

function refusal(source: string, failure: OperationFailure): CkptfsError {
  const { reason, said } = failure;
  const make = (why: 'absent' | 'revoked' | 'denied' | 'refused', message: string): CkptfsError => {
    const words = said === undefined || said === '' ? '' : ` (${printable(said, 200)})`;
    return new CkptfsError('key-unavailable', `${source}: ${message}${words}`, {
      data: { reason: why },
      cause: failure,
    });
  };
  if (reason === itemNotFound || reason === objectNotFound) return make('absent', 'the server has no such key');
  if (reason === objectDestroyed) return make('revoked', 'the key is destroyed');
  if (DENIALS.includes(reason)) return make('denied', 'the server does not allow it');
  return make('refused', `the server does not do it, with result reason ${reason ?? 'unknown'}`);
}
