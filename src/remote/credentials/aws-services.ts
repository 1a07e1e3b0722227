import { CkptfsError } from '../../base/errors.ts';
import type { HttpRequest } from '../http/exchange.ts';
import type { HttpClient } from '../http/http-client.ts';
import { isLoopback } from '../http/reachable-addresses.ts';
import { askForCredentials, askService, serviceUrl } from './ask-service.ts';
import { type AwsCredentials, parseCredentials } from './aws-credentials.ts';
import { readSmallFile } from './small-file.ts';

/** Where a container of ECS and an instance of EC2 ask for their credentials. */
const CONTAINER_ORIGIN = 'http://169.254.170.2';
const CONTAINER_HOSTS: readonly string[] = ['169.254.170.2', '169.254.170.23', '[fd00:ec2::23]'];
const INSTANCE_ORIGIN = 'http://169.254.169.254';
const TOKEN_SECONDS = 21_600;
/** An instance answers at once; where there is none, often nothing answers, and no user has named it. */
const INSTANCE_SECONDS = 2;

/** Asks the services that give a program of AWS its credentials. */
export class AwsServices {
  readonly #http: HttpClient;
  readonly #environment: NodeJS.ProcessEnv;
  readonly #timeoutSeconds: number;

  constructor(http: HttpClient, environment: NodeJS.ProcessEnv, timeoutSeconds: number) {
    this.#http = http;
    this.#environment = environment;
    this.#timeoutSeconds = timeoutSeconds;
  }

  /**
   * Asks the service that the environment of a container names; undefined where it names none.
   * @throws CkptfsError `store-unavailable`, `bad-argument`, `bad-key-file`
   */
  async ofContainer(signal: AbortSignal): Promise<AwsCredentials | undefined> {
    const [full, relative] = [
      this.#value('AWS_CONTAINER_CREDENTIALS_FULL_URI'),
      this.#value('AWS_CONTAINER_CREDENTIALS_RELATIVE_URI'),
    ];
    const text = relative === undefined ? full : `${CONTAINER_ORIGIN}${relative}`;
    if (text === undefined) return undefined;
    const url = serviceUrl('AWS_CONTAINER_CREDENTIALS_FULL_URI', text);
    const isTrusted = url.protocol === 'https:' || CONTAINER_HOSTS.includes(url.hostname) || isLoopback(url.hostname);
    if (!isTrusted || (relative !== undefined && url.origin !== CONTAINER_ORIGIN))
      throw new CkptfsError(
        'bad-argument',
        'AWS_CONTAINER_CREDENTIALS_FULL_URI: it is neither https nor a service of this host',
      );
    const authorization = this.#containerToken();
    const headers = { accept: 'application/json', ...(authorization === undefined ? {} : { authorization }) };
    const request = { what: 'the credentials of the container', method: 'GET', url, headers } as const;
    return askForCredentials(this.#http, request, signal, parseCredentials);
  }

  /**
   * Asks the instance that this host is, by version 2 of its service alone; undefined where there is none, or it has no
   * role.
   */
  async ofInstance(signal: AbortSignal): Promise<AwsCredentials | undefined> {
    if (this.#value('AWS_EC2_METADATA_DISABLED')?.toLowerCase() === 'true') return undefined;
    const named = this.#value('AWS_EC2_METADATA_SERVICE_ENDPOINT');
    const endpoint = named ?? INSTANCE_ORIGIN;
    const base = serviceUrl('AWS_EC2_METADATA_SERVICE_ENDPOINT', endpoint);
    const at = (path: string): URL => new URL(path, base);
    const soon = new AbortController();
    const abort = (): void => soon.abort();
    const timer = setTimeout(abort, 1000 * (named === undefined ? INSTANCE_SECONDS : this.#timeoutSeconds));
    signal.addEventListener('abort', abort, { once: true });
    try {
      const text = (request: HttpRequest): Promise<string> =>
        askService(this.#http, { ...request, what: 'the instance' }, soon.signal);
      const lifetime = { 'x-aws-ec2-metadata-token-ttl-seconds': String(TOKEN_SECONDS) };
      const token = await text({ method: 'PUT', url: at('/latest/api/token'), headers: lifetime });
      const headers = { 'x-aws-ec2-metadata-token': token };
      const roles = '/latest/meta-data/iam/security-credentials/';
      const role = (await text({ method: 'GET', url: at(roles), headers })).split('\n', 1)[0]?.trim() ?? '';
      if (!/^[\w+=,.@-]{1,128}$/.test(role)) return undefined;
      return parseCredentials(await text({ method: 'GET', url: at(roles + role), headers }));
    } catch (error) {
      // There is no instance, or it gives this program nothing: then there are no credentials.
      if (signal.aborted) throw error;
      return undefined;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', abort);
    }
  }

  #containerToken(): string | undefined {
    const path = this.#value('AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE');
    const text = path === undefined ? this.#value('AWS_CONTAINER_AUTHORIZATION_TOKEN') : readSmallFile(path)?.trim();
    if (text === undefined) return undefined;
    if (/^[\x20-\x7e]+$/.test(text)) return text;
    throw new CkptfsError('bad-key-file', 'the token of the container is not the value of a header field', {
      data: { reason: 'not-a-key' },
    });
  }

  #value(name: string): string | undefined {
    return this.#environment[name] || undefined;
  }
}
