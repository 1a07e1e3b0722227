import aws4 from 'aws4';
import { CkptfsError } from '../../base/errors.ts';
import { printable } from '../../base/printable.ts';
import type { AwsCredentialSource, AwsCredentials } from '../credentials/aws-credentials.ts';
import { fieldOf, type HttpAnswer, type HttpBody, type HttpMethod, readRemark } from '../http/exchange.ts';
import type { HttpClient } from '../http/http-client.ts';
import { Retryable } from '../http/retryable.ts';
import { unavailable } from '../shared/faults.ts';
import type { S3Address } from '../shared/remote-address.ts';
import { xmlErrorCode } from '../shared/xml-error.ts';
import { encodeName, type S3Endpoint, s3Url } from './s3-place.ts';

const MAX_ERROR_BYTES = 16_384;
const MAX_PAUSE_SECONDS = 60;
const EMPTY_SHA256 = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
/** What an error of S3 says that may pass. */
const PASSING = ['RequestTimeout', 'SlowDown', 'InternalError', 'ServiceUnavailable', 'OperationAborted'];
const EXPIRED = ['ExpiredToken', 'TokenRefreshRequired', 'InvalidToken'];
const WRONG_BODY = ['XAmzContentSHA256Mismatch', 'BadDigest', 'InvalidDigest'];

export interface S3Request {
  readonly method: HttpMethod;
  /** Empty for the bucket. */
  readonly key: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: HttpBody & { readonly sha256: string };
  /** The statuses that `take` is given. */
  readonly expected: readonly number[];
}

/** Asks one bucket, with signed requests. */
export class S3Client {
  readonly #http: HttpClient;
  readonly #location: string;
  readonly #address: S3Address;
  readonly #endpoint: S3Endpoint;
  readonly #credentials: AwsCredentialSource;

  constructor(
    http: HttpClient,
    location: string,
    address: S3Address,
    endpoint: S3Endpoint,
    credentials: AwsCredentialSource,
  ) {
    this.#http = http;
    this.#location = location;
    this.#address = address;
    this.#endpoint = endpoint;
    this.#credentials = credentials;
  }

  /**
   * @param take reads an answer of one of the expected statuses, and says how many bytes of a large one came; it may be
   *   called again
   * @throws CkptfsError `store-unavailable`, `source-changed`, `interrupted`
   */
  ask<T>(request: S3Request, take: (answer: HttpAnswer, received: (bytes: number) => void) => Promise<T>): Promise<T> {
    return this.#http.persist(this.#location, request.body?.size ?? 0, async (signal, received) => {
      const credentials = await this.#credentials.current(signal);
      const { method, url, headers } = this.#signed(request, credentials);
      const sent = { method, url, headers, body: request.body };
      return this.#http.exchange(this.#location, sent, signal, async (answer) => {
        if (request.expected.includes(answer.status)) return take(answer, received);
        throw await this.#refusal(answer, credentials);
      });
    });
  }

  #signed(
    { method, key, query = {}, headers = {}, body }: S3Request,
    credentials: AwsCredentials | undefined,
  ): { method: HttpMethod; url: URL; headers: Record<string, string> } {
    const url = s3Url(this.#endpoint, this.#address, key);
    const pairs = Object.entries(query).map(([name, value]) => `${encodeName(name)}=${encodeName(value)}`);
    if (pairs.length > 0) url.search = pairs.sort().join('&');
    const fields = {
      ...headers,
      host: url.host,
      'x-amz-content-sha256': body?.sha256 ?? EMPTY_SHA256,
      ...(body === undefined
        ? {}
        : { 'content-type': 'application/octet-stream', 'content-length': String(body.size) }),
    };
    if (credentials === undefined) return { method, url, headers: fields };
    const path = url.pathname + url.search;
    const signed = aws4.sign(
      { method, host: url.host, path, headers: fields, service: 's3', region: this.#endpoint.region },
      credentials,
    );
    return { method, url, headers: signed.headers as Record<string, string> };
  }

  async #refusal(answer: HttpAnswer, credentials: AwsCredentials | undefined): Promise<Error> {
    const { status } = answer;
    const code = xmlErrorCode((await readRemark(answer, MAX_ERROR_BYTES)).toString('latin1'));
    const said = code === undefined ? `it answers ${status}` : `it answers ${status} ${printable(code)}`;
    const failed = (reason: Parameters<typeof unavailable>[1], problem: string): CkptfsError =>
      unavailable(this.#location, reason, problem);
    if (status === 429 || status >= 500 || PASSING.includes(code ?? '')) {
      if (status === 501) return failed('refused', said);
      const seconds = Math.min(MAX_PAUSE_SECONDS, Number(fieldOf(answer, 'retry-after')) || 0);
      return new Retryable(said, { pauseMilliseconds: seconds * 1000 });
    }
    if (WRONG_BODY.includes(code ?? ''))
      return new CkptfsError('source-changed', `${this.#location}: the image was changed while it was pushed`);
    if (EXPIRED.includes(code ?? '')) {
      if (credentials !== undefined && this.#credentials.expire(credentials)) return new Retryable(said);
      return failed('denied', `${said}: the credentials have expired`);
    }
    if (status >= 300 && status < 400) {
      const region = fieldOf(answer, 'x-amz-bucket-region');
      const where =
        region !== undefined && /^[a-z0-9-]{1,64}$/.test(region) ? `: the bucket is in the region ${region}` : '';
      return failed('refused', `it redirects to another server, which is not followed${where}`);
    }
    if (status === 404) return failed('absent', code === 'NoSuchBucket' ? 'there is no such bucket' : said);
    if (status === 401 || status === 403)
      return failed('denied', credentials !== undefined ? said : `${said}, and no credentials were found`);
    return failed('refused', said);
  }
}
