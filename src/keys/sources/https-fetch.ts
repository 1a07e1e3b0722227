import type { IncomingMessage } from 'node:http';
import { type RequestOptions, request } from 'node:https';
import { Deadline } from '../../base/deadline.ts';
import { CkptfsError, systemErrorName } from '../../base/errors.ts';
import { wipe } from '../../base/wipe.ts';
import { readCertificates } from './https-certificates.ts';
import { interruptible } from './interruptible.ts';
import type { HeaderField, SourceOptions } from './source.ts';
import { inSeconds } from './time-limit.ts';

const MAX_REDIRECTS = 3;
const MAX_RETRIES = 3;
const FIRST_PAUSE_MILLISECONDS = 100;
const REDIRECTS: readonly (number | undefined)[] = [301, 302, 303, 307, 308];
const TOO_MANY_REQUESTS = 429;

export interface Fetch {
  /** Names the URL in messages, without what may be secret. */
  readonly source: string;
  readonly url: URL;
  readonly headers: readonly HeaderField[];
  /** How long all of it may take. */
  readonly seconds: number;
  /** Ends it earlier. */
  readonly deadline?: Deadline | undefined;
  /** Tells whether a redirect within the same origin may be followed; by default it may. */
  readonly mayFollow?: ((place: URL) => boolean) | undefined;
  readonly files: Pick<SourceOptions, 'caFile' | 'certFile' | 'certKeyFile'>;
}

/** A server that may answer rightly a little later. */
class Retryable extends Error {}

/**
 * Fetches the text of a secret. Redirects are followed within the same origin only, since the answer of another server
 * would be believed as much, and nowhere that `mayFollow` does not allow. Failed connections and servers in trouble are
 * tried again, a little later each time.
 * @param into receives the body
 * @returns how many bytes it has, at most as many as fit
 * @throws CkptfsError `key-unavailable`, `bad-key-file`, `interrupted`
 */
export function fetchSecret(fetch: Fetch, into: Buffer): Promise<number> {
  const headers = Object.fromEntries(fetch.headers.map(({ name, value }) => [name, value()]));
  const certificates = readCertificates(fetch.files);
  const options: RequestOptions = {
    headers: { accept: 'text/plain, */*;q=0.5', 'accept-encoding': 'identity', 'user-agent': 'ckptfs', ...headers },
    ...certificates,
    agent: false,
    minVersion: 'TLSv1.2',
    // Not what NODE_TLS_REJECT_UNAUTHORIZED says.
    rejectUnauthorized: true,
  };
  const { deadline = Deadline.after(fetch.seconds * 1000) } = fetch;
  return interruptible(async (interrupted) => {
    const signal = AbortSignal.any([interrupted, AbortSignal.timeout(Math.ceil(deadline.left))]);
    try {
      return await withRetries(fetch, deadline, signal, () => followed(fetch, options, signal, into));
    } catch (error) {
      if (!interrupted.aborted && signal.aborted)
        throw failed('timeout', `${fetch.source}: no answer within ${inSeconds(fetch.seconds)}`, error);
      throw error;
    }
  });
}

async function withRetries(
  { source }: Fetch,
  deadline: Deadline,
  signal: AbortSignal,
  attempt: () => Promise<number>,
): Promise<number> {
  for (let retry = 0; ; retry++) {
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof Retryable) || signal.aborted) throw error;
      if (retry === MAX_RETRIES)
        throw failed('unreachable', `${source}: ${error.message}, tried ${retry + 1} times`, error.cause);
      await pause(Math.min(deadline.left, FIRST_PAUSE_MILLISECONDS * 2 ** retry), signal);
    }
  }
}

/** Waits, but not beyond an abort. */
function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', onAbort);
      resolve();
    }, milliseconds);
    signal.addEventListener('abort', onAbort, { once: true });
  });
}

async function followed(
  { source, url, mayFollow = () => true }: Fetch,
  options: RequestOptions,
  signal: AbortSignal,
  into: Buffer,
): Promise<number> {
  let place = url;
  for (let redirects = 0; ; redirects++) {
    const answer = await answerOf(place, { ...options, signal }, into).catch((error: unknown) => {
      if (signal.aborted) throw error;
      throw connectionError(source, error);
    });
    if (typeof answer === 'number') return answer;
    const { status, location } = answer;
    if (!REDIRECTS.includes(status) || location === undefined) throw statusError(source, status);
    const next = URL.canParse(location, place.href) ? new URL(location, place) : undefined;
    if (next?.origin !== url.origin || next.username !== '' || next.password !== '')
      throw failed('refused', `${source}: it redirects to another server, which is not followed`);
    if (!mayFollow(next)) throw failed('refused', `${source}: it redirects to a place that was not allowed`);
    if (redirects === MAX_REDIRECTS) throw failed('refused', `${source}: more than ${MAX_REDIRECTS} redirects`);
    place = next;
  }
}

interface OtherAnswer {
  readonly status: number | undefined;
  readonly location: string | undefined;
}

/** Returns the size of the body that it put into memory, or what else the server answers. */
function answerOf(url: URL, options: RequestOptions, into: Buffer): Promise<number | OtherAnswer> {
  return new Promise((resolve, reject) => {
    const asked = request(url, options, (response) => {
      if (response.statusCode === 200) takeBody(response, into).then(resolve, reject);
      else {
        resolve({ status: response.statusCode, location: response.headers.location });
        response.destroy();
      }
    });
    asked.once('error', reject).end();
  });
}

/** Copies a body out of the buffers of Node, and wipes those. */
function takeBody(response: IncomingMessage, into: Buffer): Promise<number> {
  return new Promise((resolve, reject) => {
    let length = 0;
    response.on('data', (chunk: Buffer) => {
      length += chunk.copy(into, length);
      wipe(chunk);
      if (length < into.length) return;
      resolve(length);
      response.destroy();
    });
    response.once('error', reject).once('end', () => {
      if (response.complete) resolve(length);
      else reject(new Retryable('the answer was cut'));
    });
  });
}

function statusError(source: string, status: number | undefined): Error {
  if (status === TOO_MANY_REQUESTS || (status !== undefined && status >= 500))
    return new Retryable(`it answers ${status}`);
  return failed('refused', `${source}: it answers ${status}`);
}

/** Tells problems that another attempt may not have from others. */
function connectionError(source: string, error: unknown): Error {
  if (error instanceof CkptfsError || error instanceof Retryable) return error;
  const code = systemErrorName(error) ?? String(error);
  if (/CERT|ALTNAME|UNABLE_TO_|HOSTNAME_MISMATCH|INVALID_CA|PATH_LENGTH/.test(code) && !/ALERT/.test(code))
    return failed('certificate', `${source}: the certificate of the server is not accepted (${code})`, error);
  if (code.includes('ALERT')) return failed('refused', `${source}: the server refuses the connection (${code})`, error);
  if (/^(?:HPE_|ERR_SSL_|EPROTO)/.test(code))
    return failed('garbage', `${source}: the server does not speak https (${code})`, error);
  return new Retryable(`no connection (${code})`, { cause: error });
}

type Reason = 'unreachable' | 'timeout' | 'refused' | 'certificate' | 'garbage';

function failed(reason: Reason, message: string, cause?: unknown): CkptfsError {
  return new CkptfsError('key-unavailable', message, { data: { reason }, cause });
}
