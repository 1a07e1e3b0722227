import { CkptfsError } from '../../base/errors.ts';
import { parseObject } from '../shared/json-object.ts';

/** What requests to AWS are signed with. Strings, since the library that signs takes no other. */
export interface AwsCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
  /** Milliseconds since 1970; undefined for credentials that last. */
  readonly expiresAt?: number;
}

/** Where credentials come from. Asked for each request. */
export interface AwsCredentialSource {
  /** Returns undefined where there are none. @throws CkptfsError `store-unavailable`, `bad-key-file` */
  current(signal: AbortSignal): Promise<AwsCredentials | undefined>;
  /** Is told that a server takes some for expired. @returns whether others may be had */
  expire(refused: AwsCredentials): boolean;
}

/** Credentials are renewed so long before they expire. */
const MARGIN_MILLISECONDS = 120_000;
/** How often a server may say that new credentials have expired. */
const MAX_EXPIRED = 3;

/** Keeps what a source gave until it expires. */
export class RenewedCredentials implements AwsCredentialSource {
  readonly #find: (signal: AbortSignal) => Promise<AwsCredentials | undefined>;
  #found: Promise<AwsCredentials | undefined> | undefined;
  /** What was found last, until that has expired. */
  #current: AwsCredentials | undefined;
  #expiresAt = Number.POSITIVE_INFINITY;
  #expired = 0;

  constructor(find: (signal: AbortSignal) => Promise<AwsCredentials | undefined>) {
    this.#find = find;
  }

  async current(signal: AbortSignal): Promise<AwsCredentials | undefined> {
    if (this.#found === undefined || Date.now() > this.#expiresAt - MARGIN_MILLISECONDS) {
      const found = this.#find(signal);
      this.#found = found;
      this.#expiresAt = Number.POSITIVE_INFINITY;
      try {
        this.#current = await found;
        this.#expiresAt = this.#current?.expiresAt ?? Number.POSITIVE_INFINITY;
      } catch (error) {
        if (this.#found === found) this.#found = undefined;
        throw error;
      }
    }
    return this.#found;
  }

  expire(refused: AwsCredentials): boolean {
    // Of requests at once the first one to be refused counts; the others come with what was given up already.
    if (refused !== this.#current) return true;
    if (this.#expiresAt === Number.POSITIVE_INFINITY || ++this.#expired > MAX_EXPIRED) return false;
    this.#found = undefined;
    this.#current = undefined;
    return true;
  }
}

/** Parses credentials as services and programs of AWS write them, in JSON; undefined for anything else. */
export function parseCredentials(text: string): AwsCredentials | undefined {
  const value = parseObject(text);
  if (value === undefined) return undefined;
  const member = (name: string): string | undefined => {
    const given: unknown = Object.hasOwn(value, name) ? Reflect.get(value, name) : undefined;
    return typeof given === 'string' && given !== '' ? given : undefined;
  };
  return credentialsOf(
    member('AccessKeyId'),
    member('SecretAccessKey'),
    member('Token') ?? member('SessionToken'),
    member('Expiration'),
  );
}

/** Makes credentials of their parts; undefined where one is missing or cannot be in a field of HTTP. */
export function credentialsOf(
  accessKeyId: string | undefined,
  secretAccessKey: string | undefined,
  sessionToken?: string,
  expiration?: string,
): AwsCredentials | undefined {
  const isRight = (text: string | undefined): text is string => text !== undefined && /^[\x21-\x7e]+$/.test(text);
  if (!isRight(accessKeyId) || !isRight(secretAccessKey)) return undefined;
  if (sessionToken !== undefined && !isRight(sessionToken)) return undefined;
  const expiresAt = expiration === undefined ? Number.NaN : Date.parse(expiration);
  return {
    accessKeyId,
    secretAccessKey,
    ...(sessionToken === undefined ? {} : { sessionToken }),
    ...(Number.isNaN(expiresAt) ? {} : { expiresAt }),
  };
}

/**
 * Makes credentials of three settings; undefined where there is neither of the first two.
 * @throws CkptfsError `bad-key-file` for a half of them, and for what cannot be sent: others that are found later would
 *   be those of another user than the one that was meant
 */
export function credentialsOfSettings(
  [id, secret, token]: readonly [string, string, string],
  value: (name: string) => string | undefined,
): AwsCredentials | undefined {
  if (value(id) === undefined && value(secret) === undefined) return undefined;
  const found = credentialsOf(value(id), value(secret), value(token));
  if (found !== undefined) return found;
  throw new CkptfsError('bad-key-file', `${id}, ${secret} and ${token}: they are no credentials that can be sent`, {
    data: { reason: 'not-a-key' },
  });
}
