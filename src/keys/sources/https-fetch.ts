import type { IncomingMessage } from 'node:http';
import { type RequestOptions, request } from 'node:https';
import { Deadline } from '../../base/deadline.ts';
import { CkptfsError, systemErrorName } from '../../base/errors.ts';
import { wipe } from '../../base/wipe.ts';
import { checkHost, readCertificates } from './https-certificates.ts';
import { interruptible } from './interruptible.ts';
import { pause } from './pause.ts';
import type { HeaderField, SourceOptions } from './source.ts';
import { inSeconds } from './time-limit.ts';
import { tlsFault } from './tls-fault.ts';
import { withinTime } from './within-time.ts';

const MAX_REDIRECTS = 3;
const MAX_RETRIES = 3;
const FIRST_PAUSE_MILLISECONDS = 100;
const REDIRECTS: readonly (number | undefined)[] = [301, 302, 303, 307, 308];
const TOO_MANY_REQUESTS = 429;
/** What a server says of a key that it does not give (RFC 9110 §15.5). */
const REFUSALS: Readonly<Record<number, Explanation['reason']>> = {
  401: 'denied',
  403: 'denied',
  404: 'absent',
  410: 'revoked',
};

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
  /** JSON that is sent by a POST; a GET without. The caller wipes it. */
  readonly body?: Uint8Array | undefined;
  /** Says what a status other than 200 means, with the body that came with it. */
  readonly explain?: ((status: number, body: Buffer) => Explanation) | undefined;
}

/** What a server means by a status. */
export interface Explanation {
  readonly reason: 'refused' | 'denied' | 'revoked' | 'absent';
  /** Completes a message after the source. */
  readonly problem: string;
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
  const certificates = { secureContext: readCertificates(fetch.files) };
  const options: RequestOptions = {
    method: fetch.body === undefined ? 'GET' : 'POST',
    headers: {
      accept: 'text/plain, */*;q=0.5',
      'accept-encoding': 'identity',
      'user-agent': 'ckptfs',
      ...(fetch.body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    ...certificates,
    agent: false,
    minVersion: 'TLSv1.2',
    checkServerIdentity: checkHost,
    // Not what NODE_TLS_REJECT_UNAUTHORIZED says.
    rejectUnauthorized: true,
  };
  const { deadline = Deadline.after(fetch.seconds * 1000) } = fetch;
  return interruptible((interrupted) =>
    withinTime(deadline.left, interrupted, async (signal) => {
      try {
        return await withRetries(fetch, deadline, signal, () => followed(fetch, options, signal, into));
      } catch (error) {
        if (!interrupted.aborted && signal.aborted)
          throw failed('timeout', `${fetch.source}: no answer within ${inSeconds(fetch.seconds)}`, error);
        throw error;
      }
    }),
  );
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

async function followed(fetch: Fetch, options: RequestOptions, signal: AbortSignal, into: Buffer): Promise<number> {
  const { source, url, mayFollow = () => true, explain } = fetch;
  let place = url;
  for (let redirects = 0; ; redirects++) {
    const { status, location, length } = await answerOf(place, { ...options, signal }, fetch, into).catch(
      (error: unknown) => {
        if (signal.aborted) throw error;
        throw connectionError(source, error);
      },
    );
    if (status === 200) return length;
    if (!REDIRECTS.includes(status) || location === undefined)
      throw statusError(source, status, explain?.(status, into.subarray(0, length)));
    const next = URL.canParse(location, place.href) ? new URL(location, place) : undefined;
    if (next?.origin !== url.origin || next.username !== '' || next.password !== '')
      throw failed('refused', `${source}: it redirects to another server, which is not followed`);
    if (!mayFollow(next)) throw failed('refused', `${source}: it redirects to a place that was not allowed`);
    if (redirects === MAX_REDIRECTS) throw failed('refused', `${source}: more than ${MAX_REDIRECTS} redirects`);
    place = next;
  }
}

interface Answer {
  readonly status: number;
  readonly location: string | undefined;
  /** Bytes of the body that are in memory. */
  readonly length: number;
}

/** Asks, and puts the body into memory if it is of use. */
function answerOf(url: URL, options: RequestOptions, { body, explain }: Fetch, into: Buffer): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asked = request(url, options, (response) => {
      const { statusCode: status = 0, headers } = response;
      const take = (length: number): void => resolve({ status, location: headers.location, length });
      if (status === 200 || explain !== undefined) takeBody(response, into).then(take, reject);
      else {
        take(0);
        response.destroy();
      }
    });
    // One whose connection the server would use for another protocol ends without an error or an answer.
    asked.once('close', () => reject(new Retryable('no answer')));
    asked.once('error', reject).end(body ?? '');
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

function statusError(source: string, status: number, explanation?: Explanation): Error {
  const { reason, problem } = explanation ?? { reason: REFUSALS[status] ?? 'refused', problem: `it answers ${status}` };
  if (status === TOO_MANY_REQUESTS || status >= 500) return new Retryable(problem);
  return failed(reason, `${source}: ${problem}`);
}

/** Tells problems that another attempt may not have from others. */
function connectionError(source: string, error: unknown): Error {
  if (error instanceof CkptfsError || error instanceof Retryable) return error;
  const code = systemErrorName(error) ?? String(error);
  const reason = tlsFault(code);
  if (reason !== undefined) return failed(reason, `${source}: ${problems[reason]} (${code})`, error);
  return new Retryable(`no connection (${code})`, { cause: error });
}

const problems = {
  certificate: 'the certificate of the server is not accepted',
  refused: 'the server refuses the connection',
  garbage: 'the server does not speak https',
} as const;

type Reason = 'unreachable' | 'timeout' | 'certificate' | 'garbage' | Explanation['reason'];

function failed(reason: Reason, message: string, cause?: unknown): CkptfsError {
  return new CkptfsError('key-unavailable', message, { data: { reason }, cause });
}
