import { CkptfsError } from '../../base/errors.ts';
import { printable } from '../../base/printable.ts';
import { fieldOf, type HttpAnswer, type HttpRequest, readBody, readRemark } from '../http/exchange.ts';
import type { HttpClient } from '../http/http-client.ts';
import { Retryable } from '../http/retryable.ts';
import { garbage, unavailable } from '../shared/faults.ts';
import { xmlErrorCode } from '../shared/xml-error.ts';
import type { AwsCredentials } from './aws-credentials.ts';

const MAX_BYTES = 65_536;
/** What an error says that may pass, where its status does not. */
const PASSING: readonly string[] = [
  'Throttling',
  'ThrottlingException',
  'RequestLimitExceeded',
  'IDPCommunicationError',
];

/** How a service that gives credentials is asked. */
export interface ServiceRequest extends HttpRequest {
  /** Names the service in messages. */
  readonly what: string;
  /** What a user does who is refused. */
  readonly advice?: string;
}

/**
 * Asks a service for credentials, once.
 * @param parse returns undefined for text that has none
 * @throws CkptfsError `store-unavailable`; Retryable
 */
export async function askForCredentials(
  http: HttpClient,
  request: ServiceRequest,
  signal: AbortSignal,
  parse: (text: string) => AwsCredentials | undefined,
): Promise<AwsCredentials> {
  const found = parse(await askService(http, request, signal));
  if (found === undefined) throw garbage(request.what, `${request.url.host} answers something else`);
  return found;
}

/**
 * Asks a service, once.
 * @returns the text of its answer
 * @throws CkptfsError `store-unavailable`; Retryable
 */
export function askService(http: HttpClient, request: ServiceRequest, signal: AbortSignal): Promise<string> {
  const { what, url, advice } = request;
  return http.exchange(what, request, signal, async (answer) => {
    if (answer.status === 200) return (await readBody(what, answer, MAX_BYTES)).toString('utf8');
    const code = await refusalCode(answer);
    const said = `${url.host} answers ${answer.status}${code === undefined ? '' : ` ${printable(code)}`}`;
    if (answer.status === 429 || answer.status >= 500 || PASSING.includes(code ?? ''))
      throw new Retryable(`${what}: ${said}`);
    throw unavailable(what, 'denied', advice === undefined ? said : `${said}: ${advice}`);
  });
}

/** @throws CkptfsError `bad-argument` for what is no URL of a server, or has a password */
export function serviceUrl(variable: string, text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url !== undefined && /^https?:$/.test(url.protocol) && url.username === '' && url.password === '') return url;
  throw new CkptfsError('bad-argument', `${variable}: it is not a plain URL, http://HOST or https://HOST`);
}

/** Returns the code of an error: STS has it in XML, and services that speak JSON in a field. */
async function refusalCode(answer: HttpAnswer): Promise<string | undefined> {
  const [, field] = /^([A-Za-z]{1,64})(?::|$)/.exec(fieldOf(answer, 'x-amzn-errortype') ?? '') ?? [];
  return field ?? xmlErrorCode((await readRemark(answer, MAX_BYTES)).toString('latin1'));
}
