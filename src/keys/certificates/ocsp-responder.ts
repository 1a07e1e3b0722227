import { request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { rootCertificates } from 'node:tls';
import type { Deadline } from '../../base/deadline.ts';
import { systemErrorName } from '../../base/errors.ts';
import { printable } from '../../base/printable.ts';
import { MAX_OCSP_ANSWER_BYTES } from '../../crypto/certificate-ocsp.ts';

const MAX_URL_CHARACTERS = 2048;
const MAX_HEADER_BYTES = 16_384;
const HTTP_OK = 200;

/** Why a responder gave no answer. The message is the end of a sentence. */
export class NoAnswer extends Error {}

export interface AskOptions {
  /** Until when the answer must be complete, with looking up the name and connecting. */
  readonly deadline: Deadline;
  /** Certificates, as PEM, that a server of https may be certified by, beside those that Node knows. */
  readonly authorities: readonly string[];
}

/** Tells whether a text is an address at which a responder can be asked. */
export function isResponderUrl(text: string): boolean {
  if (text.length > MAX_URL_CHARACTERS || !URL.canParse(text)) return false;
  const { protocol, username, password } = new URL(text);
  return (protocol === 'http:' || protocol === 'https:') && username === '' && password === '';
}

/**
 * Sends an OCSP request by POST (RFC 6960, appendix A) and returns the body of the answer. Redirects are not followed.
 * @param url for which {@link isResponderUrl} holds
 * @throws NoAnswer
 */
export function askResponder(url: string, body: Buffer, { deadline, authorities }: AskOptions): Promise<Buffer> {
  const isSecure = new URL(url).protocol === 'https:';
  const options: RequestOptions = {
    method: 'POST',
    headers: {
      'content-type': 'application/ocsp-request',
      'content-length': body.length,
      accept: 'application/ocsp-response',
    },
    agent: false,
    maxHeaderSize: MAX_HEADER_BYTES,
  };
  return new Promise((resolve, reject) => {
    const sent = isSecure
      ? httpsRequest(url, { ...options, ca: [...rootCertificates, ...authorities] })
      : httpRequest(url, options);
    const fail = (error: unknown): void => {
      clearTimeout(timer);
      reject(error instanceof NoAnswer ? error : new NoAnswer(`cannot be asked: ${describe(error)}`));
      sent.destroy();
    };
    const timer = setTimeout(() => fail(new NoAnswer('did not answer in time')), deadline.left);
    sent.on('error', fail);
    sent.on('response', (response) => {
      readBody(response).then((answer) => {
        clearTimeout(timer);
        resolve(answer);
        sent.destroy();
      }, fail);
    });
    sent.end(body);
  });
}

async function readBody(response: IncomingMessage): Promise<Buffer> {
  if (response.statusCode !== HTTP_OK) throw new NoAnswer(`answered with the HTTP status ${response.statusCode}`);
  const pieces: Buffer[] = [];
  let length = 0;
  for await (const piece of response) {
    const bytes = Buffer.from(piece);
    length += bytes.length;
    if (length > MAX_OCSP_ANSWER_BYTES) throw new NoAnswer(`answered with more than ${MAX_OCSP_ANSWER_BYTES} bytes`);
    pieces.push(bytes);
  }
  return Buffer.concat(pieces);
}

function describe(error: unknown): string {
  return systemErrorName(error) ?? printable(error instanceof Error ? error.message : String(error), 200);
}
