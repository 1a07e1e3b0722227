import { Agent, type ClientRequest, request as httpRequest, type RequestOptions } from 'node:http';
import { type AgentOptions, Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { pipeline } from 'node:stream';
import { CkptfsError, systemErrorName } from '../../base/errors.ts';
import { checkHost, readCertificates } from '../../keys/sources/https-certificates.ts';
import { pause } from '../../keys/sources/pause.ts';
import { inSeconds } from '../../keys/sources/time-limit.ts';
import { tlsFault } from '../../keys/sources/tls-fault.ts';
import { unavailable } from '../shared/faults.ts';
import type { HttpAnswer, HttpRequest } from './exchange.ts';
import { proxyFor, requestThrough, TunnelAgent } from './proxy.ts';
import { allowedFrom, guardedLookup, INNER_ADDRESS, mayAsk } from './reachable-addresses.ts';
import { Retryable } from './retryable.ts';
import { TransferTime } from './transfer-time.ts';

/** How often a request is repeated that fails before it got anywhere. */
const MAX_RETRIES = 6;
const FIRST_PAUSE_MILLISECONDS = 200;
const LONGEST_PAUSE_MILLISECONDS = 10_000;
/** A connection over which nothing comes or goes for so long is given up, and another one tried. */
const STALL_MILLISECONDS = 20_000;
const MAX_FIELDS_BYTES = 65_536;

export interface HttpOptions {
  /** How long one request may take with all its repetitions, besides the time for its bytes. */
  readonly timeoutSeconds: number;
  /** PEM file of the certificates of the authorities to trust, in place of those of the system. */
  readonly caFile?: string | undefined;
  /** Ends everything. */
  readonly signal: AbortSignal;
  readonly environment: NodeJS.ProcessEnv;
  /** How many requests there may be at a time. */
  readonly connections: number;
}

/** Asks servers once. @param received is to hear of the bytes of a large answer as they come */
export type Attempt<T> = (signal: AbortSignal, received: (bytes: number) => void) => Promise<T>;

/** Asks servers. Each request has one deadline for all its attempts, and every answer a bound. */
export class HttpClient {
  readonly #options: HttpOptions;
  readonly #plain: Agent;
  readonly #secure: HttpsAgent;
  readonly #pool: AgentOptions;
  /** By the address of the proxy. */
  readonly #tunnels = new Map<string, TunnelAgent>();

  /** @throws CkptfsError `bad-key-file` when the certificates of the authorities are not usable */
  constructor(options: HttpOptions) {
    this.#options = options;
    const pool = { keepAlive: true, maxSockets: options.connections };
    this.#plain = new Agent(pool);
    this.#pool = {
      ...pool,
      secureContext: readCertificates({ caFile: options.caFile }),
      minVersion: 'TLSv1.2',
      checkServerIdentity: checkHost,
      // Not what NODE_TLS_REJECT_UNAUTHORIZED says.
      rejectUnauthorized: true,
    };
    this.#secure = new HttpsAgent(this.#pool);
  }

  /** Closes connections that are kept. */
  close(): void {
    this.#plain.destroy();
    this.#secure.destroy();
    for (const tunnel of this.#tunnels.values()) tunnel.destroy();
  }

  /**
   * Does something that asks servers, and does it again, each time a little later, as long as that fails in a way that
   * may pass.
   * @param location names the store in messages
   * @param sent bytes that are sent, by which the time grows
   * @param attempt throws a Retryable for a fault that may pass; says how many bytes came, by which the time grows too
   * @throws CkptfsError `store-unavailable`, `interrupted`; what `attempt` throws
   */
  async persist<T>(location: string, sent: number, attempt: Attempt<T>): Promise<T> {
    const { signal: ended, timeoutSeconds } = this.#options;
    const time = new TransferTime(timeoutSeconds, sent);
    return time.run(ended, async (signal) => {
      let last: Retryable | undefined;
      for (let retry = 0; ; retry++) {
        try {
          if (!signal.aborted) return await attempt(signal, time.received);
        } catch (error) {
          if (!signal.aborted) {
            if (!(error instanceof Retryable)) throw error;
            last = error;
          }
        }
        if (ended.aborted) throw new CkptfsError('interrupted', `${location}: interrupted`);
        if (time.left === 0 || signal.aborted) {
          const what = last === undefined ? 'no answer' : last.message;
          throw unavailable(location, 'timeout', `${what}, within ${inSeconds(time.seconds)}`, last);
        }
        if (retry === MAX_RETRIES && last !== undefined)
          throw unavailable(location, 'unreachable', `${last.message}, tried ${retry + 1} times`, last.cause);
        const wait =
          Math.min(LONGEST_PAUSE_MILLISECONDS, FIRST_PAUSE_MILLISECONDS * 2 ** retry) * (0.5 + Math.random());
        await pause(Math.min(time.left, Math.max(wait, last?.pauseMilliseconds ?? 0)), signal).catch(() => undefined);
      }
    });
  }

  /**
   * Sends one request, once.
   * @param take reads the answer; what it leaves of the body is not read
   * @throws CkptfsError `store-unavailable`; Retryable for a lost connection; what `take` throws
   */
  async exchange<T>(
    location: string,
    request: HttpRequest,
    signal: AbortSignal,
    take: (answer: HttpAnswer) => Promise<T>,
  ): Promise<T> {
    try {
      const answer = await this.#answer(location, request, signal);
      try {
        return await take(answer);
      } finally {
        if (!answer.body.complete || !answer.body.readableEnded) answer.body.destroy();
      }
    } catch (error) {
      throw connectionError(location, request.url, error);
    }
  }

  #answer(location: string, request: HttpRequest, signal: AbortSignal): Promise<HttpAnswer> {
    const { url, namedBy } = request;
    if (namedBy !== undefined && !mayAsk(url.hostname, allowedFrom(namedBy)))
      throw unavailable(location, 'refused', `the server points to an address of this host, ${url.host}`);
    return new Promise((resolve, reject) => {
      const asked = this.#send(request, signal);
      asked.once('response', (body) => resolve({ status: body.statusCode ?? 0, headers: body.headers, body }));
      // A second one, after the answer, has no one else to be told to.
      asked.on('error', reject);
      // A request that waits for a proxy has no socket yet, and would not say that it was aborted.
      const abort = (): void => reject(new Retryable('no answer'));
      signal.addEventListener('abort', abort, { once: true });
      asked.once('close', () => {
        signal.removeEventListener('abort', abort);
        // Nor does one say that it has ended whose connection the server would use for another protocol.
        reject(new Retryable('no answer'));
      });
      asked.setTimeout(STALL_MILLISECONDS, () => asked.destroy(new Retryable('no answer')));
      if (request.body === undefined) asked.end();
      else {
        // An answer may come before all was sent; then the error of the stream that could not be sent says nothing.
        pipeline(request.body.open(), asked, (error) => error && reject(error));
      }
    });
  }

  #send({ method, url, headers, body, namedBy }: HttpRequest, signal: AbortSignal): ClientRequest {
    const isSecure = url.protocol === 'https:';
    const proxy = proxyFor(url, this.#options.environment);
    const options: RequestOptions = {
      method,
      signal,
      maxHeaderSize: MAX_FIELDS_BYTES,
      headers: {
        'user-agent': 'ckptfs',
        'accept-encoding': 'identity',
        ...(body === undefined
          ? method === 'PUT' || method === 'POST'
            ? { 'content-length': '0' }
            : {}
          : { 'content-length': String(body.size) }),
        ...headers,
      },
      agent: isSecure ? this.#secure : this.#plain,
      ...(namedBy === undefined ? {} : { lookup: guardedLookup(allowedFrom(namedBy)) }),
    };
    if (proxy !== undefined && !isSecure) return requestThrough(proxy, url, options);
    if (proxy !== undefined) return httpsRequest(url, { ...options, agent: this.#tunnelThrough(proxy) });
    return isSecure ? httpsRequest(url, options) : httpRequest(url, options);
  }

  #tunnelThrough(proxy: URL): TunnelAgent {
    const tunnel = this.#tunnels.get(proxy.href) ?? new TunnelAgent(proxy, this.#pool);
    this.#tunnels.set(proxy.href, tunnel);
    return tunnel;
  }
}

/** Tells problems that another attempt may not have from others. */
function connectionError(location: string, { host }: URL, error: unknown): unknown {
  if (error instanceof CkptfsError || error instanceof Retryable) return error;
  const code = systemErrorName(error) ?? String(error);
  if (code === INNER_ADDRESS)
    return unavailable(location, 'refused', `the server points to an address of this host, ${host}`, error);
  if (code === 'ENOTFOUND') return unavailable(location, 'unreachable', `there is no host ${host}`, error);
  const reason = tlsFault(code);
  if (reason !== undefined) return unavailable(location, reason, `${problems[reason]} (${host}, ${code})`, error);
  return new Retryable(`no connection to ${host} (${code})`, { cause: error });
}

const problems = {
  certificate: 'the certificate of the server is not accepted',
  refused: 'the server refuses the connection',
  garbage: 'the server does not speak the protocol',
} as const;
