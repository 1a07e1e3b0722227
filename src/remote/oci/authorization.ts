import { Readable } from 'node:stream';
import type { RegistryCredentials } from '../credentials/registry-credentials.ts';
import { type HttpRequest, readBody } from '../http/exchange.ts';
import type { HttpClient } from '../http/http-client.ts';
import { isLoopback } from '../http/reachable-addresses.ts';
import { Retryable } from '../http/retryable.ts';
import { garbage, unavailable } from '../shared/faults.ts';
import { parseObject } from '../shared/json-object.ts';
import { type Challenge, parseChallenge } from './challenge.ts';

const MAX_TOKEN_BYTES = 65_536;

/** How one registry lets this user in: by a password, or by a token of a server that it names. */
export class Authorization {
  readonly #http: HttpClient;
  readonly #location: string;
  /** The registry, as it is asked. */
  readonly #origin: URL;
  readonly #credentials: RegistryCredentials | undefined;
  readonly #scope: string;
  #field: string | undefined;

  /** @param scope what a token is asked for, where the registry does not say */
  constructor(
    http: HttpClient,
    location: string,
    origin: URL,
    credentials: RegistryCredentials | undefined,
    scope: string,
  ) {
    this.#http = http;
    this.#location = location;
    this.#origin = origin;
    this.#credentials = credentials;
    this.#scope = scope;
  }

  get isAnonymous(): boolean {
    return this.#credentials === undefined;
  }

  /** The field `Authorization` that the registry wanted last. */
  get field(): string | undefined {
    return this.#field;
  }

  /**
   * Answers a challenge.
   * @param challenge the field `WWW-Authenticate`
   * @param refused the field that was sent, and did not do; another request may have got a better one meanwhile
   * @returns whether {@link field} may do now
   * @throws CkptfsError `store-unavailable`; Retryable
   */
  async answer(challenge: string, refused: string | undefined, signal: AbortSignal): Promise<boolean> {
    if (this.#field !== refused) return true;
    const parsed = parseChallenge(challenge);
    if (parsed?.scheme === 'bearer') this.#field = `Bearer ${await this.#token(parsed, signal)}`;
    else if (parsed?.scheme === 'basic' && this.#credentials !== undefined) this.#field = this.#basic;
    else return false;
    return this.#field !== refused;
  }

  get #basic(): string {
    const { username = '', password = '' } = this.#credentials ?? {};
    return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
  }

  async #token(
    { realm, service, scope = this.#scope }: Challenge & { scheme: 'bearer' },
    signal: AbortSignal,
  ): Promise<string> {
    const request = this.#tokenRequest(this.#realmUrl(realm), service, scope);
    return this.#http.exchange(this.#location, request, signal, async (answer) => {
      const { status } = answer;
      const said = `the token server ${request.url.host} answers ${status}`;
      if (status === 429 || status >= 500) throw new Retryable(said);
      if (status !== 200) throw unavailable(this.#location, 'denied', said);
      const token = tokenIn((await readBody(this.#location, answer, MAX_TOKEN_BYTES)).toString('utf8'));
      if (token === undefined) throw garbage(this.#location, `the token server ${request.url.host} answers no token`);
      return token;
    });
  }

  /**
   * Returns the URL of a token server. A password goes there, so it is asked by https alone, but for a registry that is
   * itself asked by http and is the token server too, or both are on this host.
   */
  #realmUrl(realm: string): URL {
    const url = URL.canParse(realm) ? new URL(realm) : undefined;
    const isPlain = url?.protocol === 'http:' && this.#origin.protocol === 'http:';
    const isNear =
      url?.hostname === this.#origin.hostname || (isLoopback(url?.hostname ?? '') && isLoopback(this.#origin.hostname));
    if (
      url !== undefined &&
      url.username === '' &&
      url.password === '' &&
      (url.protocol === 'https:' || (isPlain && isNear))
    )
      return url;
    throw unavailable(this.#location, 'refused', 'the registry names a token server that is not asked by https');
  }

  #tokenRequest(url: URL, service: string | undefined, scope: string): HttpRequest {
    const namedBy = this.#origin;
    const { identityToken } = this.#credentials ?? {};
    if (identityToken === undefined) {
      if (service !== undefined) url.searchParams.set('service', service);
      for (const one of scope.split(' ')) url.searchParams.append('scope', one);
      const headers = this.#credentials === undefined ? {} : { authorization: this.#basic };
      return { method: 'GET', url, headers, namedBy };
    }
    const form = new URLSearchParams({
      grant_type: 'refresh_token',
      client_id: 'ckptfs',
      scope,
      ...(service === undefined ? {} : { service }),
      refresh_token: identityToken,
    });
    const bytes = Buffer.from(form.toString());
    return {
      method: 'POST',
      url,
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: { size: bytes.length, open: () => Readable.from([bytes]) },
      namedBy,
    };
  }
}

/** Returns the token that an answer has, if it can be in a field of HTTP. */
function tokenIn(text: string): string | undefined {
  const value = parseObject(text);
  if (value === undefined) return undefined;
  const found = ['token', 'access_token'].map((name): unknown => Reflect.get(value, name));
  return found.find((one): one is string => typeof one === 'string' && /^[\x21-\x7e]+$/.test(one));
}
