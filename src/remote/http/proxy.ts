import { type ClientRequest, type RequestOptions, request } from 'node:http';
import { type AgentOptions, Agent as HttpsAgent } from 'node:https';
import { isIP } from 'node:net';
import type { Duplex } from 'node:stream';
import { CkptfsError } from '../../base/errors.ts';
import { isLoopback, isOnLink } from './reachable-addresses.ts';

const OK = 200;

/**
 * Returns the proxy that a URL is asked through, by the variables that other programs obey: HTTPS_PROXY or HTTP_PROXY,
 * ALL_PROXY, and NO_PROXY; the names in small letters count first. This host and services of its link, such as that
 * which gives an instance its credentials, are never asked through one.
 * @throws CkptfsError `bad-argument` for a proxy that is not one of http; its text, which may have a password, is not
 *   repeated
 */
export function proxyFor(url: URL, environment: NodeJS.ProcessEnv): URL | undefined {
  const value = (name: string): string | undefined => environment[name.toLowerCase()] || environment[name] || undefined;
  const variable = url.protocol === 'https:' ? 'HTTPS_PROXY' : 'HTTP_PROXY';
  const text = value(variable) ?? value('ALL_PROXY');
  const isNear = isLoopback(url.hostname) || isOnLink(url.hostname);
  if (text === undefined || isNear || isExempt(url, value('NO_PROXY') ?? '')) return undefined;
  const whole = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`;
  const proxy = URL.canParse(whole) ? new URL(whole) : undefined;
  if (proxy?.protocol === 'http:') return proxy;
  throw new CkptfsError('bad-argument', `${variable}: it does not name a proxy by http://HOST:PORT`);
}

function isExempt({ protocol, hostname, port }: URL, list: string): boolean {
  const usedPort = port || (protocol === 'https:' ? '443' : '80');
  return list
    .split(/[\s,]+/)
    .filter((entry) => entry !== '')
    .some((entry) => {
      const [, name = '', wantedPort] = /^\*?\.?(.*?)(?::(\d+))?$/.exec(entry.toLowerCase()) ?? [];
      if (wantedPort !== undefined && wantedPort !== usedPort) return false;
      return entry === '*' || hostname === name || (name !== '' && hostname.endsWith(`.${name}`));
    });
}

/** Asks for a URL of http through a proxy, whose own name is looked up as that of no server is. */
export function requestThrough(
  proxy: URL,
  url: URL,
  { agent: _, lookup: __, ...options }: RequestOptions,
): ClientRequest {
  return request({
    ...options,
    host: proxy.hostname,
    port: proxy.port || 80,
    path: url.href,
    headers: { ...options.headers, host: url.host, ...authorizationOf(proxy) },
  });
}

/** Makes connections of TLS through a proxy, which sees the name of the server alone. */
export class TunnelAgent extends HttpsAgent {
  readonly #proxy: URL;
  /** Requests that the proxy has not answered. */
  readonly #waiting = new Set<ClientRequest>();

  constructor(proxy: URL, options: AgentOptions) {
    super(options);
    this.#proxy = proxy;
  }

  override destroy(): void {
    for (const asked of this.#waiting) asked.destroy();
    super.destroy();
  }

  override createConnection(
    options: RequestOptions,
    callback?: (error: Error | null, stream: Duplex) => void,
  ): Duplex | null | undefined {
    const host = isIP(options.host ?? '') === 6 ? `[${options.host}]` : options.host;
    const target = `${host}:${options.port}`;
    const failed = (error: Error): void => callback?.(error, undefined as unknown as Duplex);
    const asked = request({
      host: this.#proxy.hostname,
      port: this.#proxy.port || 80,
      method: 'CONNECT',
      path: target,
      headers: { host: target, ...authorizationOf(this.#proxy) },
    });
    this.#waiting.add(asked);
    asked.once('close', () => this.#waiting.delete(asked));
    asked.once('error', failed).once('connect', (answer, socket) => {
      if (answer.statusCode !== OK) {
        socket.destroy();
        failed(new Error(`the proxy ${this.#proxy.host} answers ${answer.statusCode}`));
        return;
      }
      const secured = super.createConnection({ ...options, socket } as RequestOptions);
      if (secured !== null && secured !== undefined) callback?.(null, secured);
    });
    asked.end();
    return undefined;
  }
}

function authorizationOf({ username, password }: URL): Record<string, string> {
  if (username === '' && password === '') return {};
  const text = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return { 'proxy-authorization': `Basic ${Buffer.from(text).toString('base64')}` };
}
