import { CkptfsError } from '../../base/errors.ts';
import { printable } from '../../base/printable.ts';
import { fieldOf, type HttpAnswer, type HttpBody, type HttpMethod, readRemark } from '../http/exchange.ts';
import type { Attempt, HttpClient } from '../http/http-client.ts';
import { Retryable } from '../http/retryable.ts';
import { unavailable } from '../shared/faults.ts';
import type { Authorization } from './authorization.ts';

const MAX_ERROR_BYTES = 16_384;
const MAX_REDIRECTS = 3;
const MAX_PAUSE_SECONDS = 60;
const REDIRECTS: readonly number[] = [301, 302, 303, 307, 308];

export interface RegistryRequest {
  readonly method: HttpMethod;
  /** Below the repository: `blobs/sha256:…`; or a whole URL, which the registry named. */
  readonly path: string | URL;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: HttpBody;
  /** The statuses that `take` is given. */
  readonly expected: readonly number[];
}

/** Asks one repository of a registry (OCI distribution specification 1.1), as the user that it knows. */
export class RegistryClient {
  readonly #http: HttpClient;
  readonly #location: string;
  /** `https://HOST/v2/REPOSITORY/` */
  readonly #repository: URL;
  readonly #authorization: Authorization;

  constructor(http: HttpClient, location: string, repository: URL, authorization: Authorization) {
    this.#http = http;
    this.#location = location;
    this.#repository = repository;
    this.#authorization = authorization;
  }

  get base(): URL {
    return this.#repository;
  }

  /**
   * Does something that asks the registry, again and again while that fails in a way that may pass.
   * @param sent bytes that are sent; see {@link HttpClient.persist}
   */
  persist<T>(sent: number, attempt: Attempt<T>): Promise<T> {
    return this.#http.persist(this.#location, sent, attempt);
  }

  /** Asks once, as often as it is repeated; see {@link HttpClient.persist}. */
  ask<T>(request: RegistryRequest, take: (answer: HttpAnswer) => Promise<T>, sent = 0): Promise<T> {
    return this.persist(sent, (signal) => this.once(request, signal, take));
  }

  /**
   * Asks once. Downloads follow redirects, without what lets this user in: other servers are not to know it.
   * @throws CkptfsError `store-unavailable`, Retryable
   */
  async once<T>(request: RegistryRequest, signal: AbortSignal, take: (answer: HttpAnswer) => Promise<T>): Promise<T> {
    let url = this.resolve(request.path, this.#repository);
    let isKnown = false;
    for (let redirects = 0; ; ) {
      const step = await this.#step(request, url, signal, take);
      if ('value' in step) return step.value;
      if ('challenge' in step) {
        // A token may have expired, so that one is asked for again; but not twice for one request.
        const { challenge, refused } = step;
        if (isKnown || !(await this.#authorization.answer(challenge, refused, signal))) throw this.#denied(401);
        isKnown = true;
      } else {
        if (redirects++ === MAX_REDIRECTS) throw this.#failed('refused', `more than ${MAX_REDIRECTS} redirects`);
        url = this.resolve(step.location, url);
      }
    }
  }

  /**
   * Returns a URL that the registry names.
   * @throws CkptfsError `store-unavailable` for one that is not asked
   */
  resolve(place: string | URL, base: URL): URL {
    const text = String(place);
    const url = URL.canParse(text, base.href) ? new URL(text, base) : undefined;
    const isLower = url?.protocol === 'http:' && base.protocol === 'https:';
    if (url === undefined || isLower || !/^https?:$/.test(url.protocol) || url.username !== '' || url.password !== '')
      throw this.#failed('refused', 'the registry points to a place that is not asked');
    return url;
  }

  async #step<T>(
    { method, headers, body, expected }: RegistryRequest,
    url: URL,
    signal: AbortSignal,
    take: (answer: HttpAnswer) => Promise<T>,
  ): Promise<{ value: T } | { challenge: string; refused: string | undefined } | { location: string }> {
    const isOwn = url.origin === this.#repository.origin;
    const { field } = this.#authorization;
    const sent = {
      method,
      url,
      headers: { ...headers, ...(isOwn && field !== undefined ? { authorization: field } : {}) },
      body,
      namedBy: isOwn ? undefined : this.#repository,
    };
    return this.#http.exchange(this.#location, sent, signal, async (answer) => {
      const { status } = answer;
      if (expected.includes(status)) return { value: await take(answer) };
      const [challenge, location] = [fieldOf(answer, 'www-authenticate'), fieldOf(answer, 'location')];
      if (status === 401 && isOwn && challenge !== undefined) return { challenge, refused: field };
      const isDownload = method === 'GET' || method === 'HEAD';
      if (isDownload && REDIRECTS.includes(status) && location !== undefined) return { location };
      throw await this.#refusal(answer);
    });
  }

  async #refusal(answer: HttpAnswer): Promise<Error> {
    const { status } = answer;
    const code = errorCode((await readRemark(answer, MAX_ERROR_BYTES)).toString('utf8'));
    const said =
      code === undefined ? `the registry answers ${status}` : `the registry answers ${status} ${printable(code)}`;
    if (status === 429 || status >= 500) {
      const seconds = Math.min(MAX_PAUSE_SECONDS, Number(fieldOf(answer, 'retry-after')) || 0);
      return new Retryable(said, { pauseMilliseconds: seconds * 1000 });
    }
    if (code === 'DIGEST_INVALID')
      return new CkptfsError('source-changed', `${this.#location}: the image was changed while it was pushed`);
    if (status === 401 || status === 403) return this.#denied(status);
    if (REDIRECTS.includes(status)) return this.#failed('refused', 'it redirects an upload, which is not followed');
    return this.#failed(status === 404 ? 'absent' : 'refused', said);
  }

  #denied(status: number): CkptfsError {
    const said = `the registry answers ${status}`;
    return this.#failed('denied', this.#authorization.isAnonymous ? `${said}, and no credentials were found` : said);
  }

  #failed(reason: Parameters<typeof unavailable>[1], problem: string): CkptfsError {
    return unavailable(this.#location, reason, problem);
  }
}

/** Returns the code in an error of a registry: `{"errors":[{"code":"DENIED", …}]}`. */
function errorCode(text: string): string | undefined {
  return /"code"\s*:\s*"([A-Z_]{1,64})"/.exec(text)?.[1];
}
