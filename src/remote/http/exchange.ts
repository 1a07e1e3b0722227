import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';
import { CkptfsError } from '../../base/errors.ts';
import { garbage } from '../shared/faults.ts';
import { Retryable } from './retryable.ts';

export type HttpMethod = 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE';

/** What is sent. */
export interface HttpRequest {
  readonly method: HttpMethod;
  readonly url: URL;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: HttpBody | undefined;
  /** The server that named the URL, if that was not the user: then not every address is asked. */
  readonly namedBy?: URL | undefined;
}

/** A body that can be sent again. */
export interface HttpBody {
  /** Bytes. */
  readonly size: number;
  /** Begins it anew. */
  readonly open: () => Readable;
}

/** An answer whose body was not read yet. */
export interface HttpAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: IncomingMessage;
}

/** Returns one field of an answer, the first where it is there several times. */
export function fieldOf({ headers }: HttpAnswer, name: string): string | undefined {
  const value = headers[name];
  return typeof value === 'string' ? value : value?.[0];
}

/**
 * Reads a whole body.
 * @param limit bytes
 * @param received hears of the bytes as they come
 * @throws CkptfsError `store-unavailable` when it has more; Retryable when it was cut
 */
export async function readBody(
  location: string,
  { body }: HttpAnswer,
  limit: number,
  received: (bytes: number) => void = () => undefined,
): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of chunksOf(body)) {
    length += chunk.length;
    received(chunk.length);
    if (length > limit) throw garbage(location, `an answer of the server has more than ${limit} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, length);
}

/** Reads what a server says of an error, as far as it is of use: at most `limit` bytes, and no fault. */
export async function readRemark({ body }: HttpAnswer, limit: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of chunksOf(body)) {
      chunks.push(chunk);
      length += chunk.length;
      if (length >= limit) break;
    }
  } catch {
    // What came is enough.
  }
  return Buffer.concat(chunks).subarray(0, limit);
}

/**
 * Reads a body of a known size.
 * @param size bytes, all of which must come, and no more
 * @param sink is given each piece in order, and must not keep it
 * @throws CkptfsError `store-unavailable` when it has more; Retryable when it has fewer
 */
export async function readExactly(
  location: string,
  answer: HttpAnswer,
  size: number,
  sink: (chunk: Buffer) => void,
): Promise<void> {
  const announced = fieldOf(answer, 'content-length');
  if (announced !== undefined && Number(announced) !== size)
    throw garbage(location, `the server sends ${announced} bytes where ${size} were asked for`);
  let length = 0;
  try {
    for await (const chunk of chunksOf(answer.body)) {
      length += chunk.length;
      if (length > size) throw garbage(location, `the server sends more than the ${size} bytes that were asked for`);
      sink(chunk);
    }
  } catch (error) {
    // Nothing is missing where the connection ended badly after the last byte.
    if (length !== size || error instanceof CkptfsError) throw error;
  }
  if (length < size) throw new Retryable('the answer was cut');
}

/** Goes through a body, and takes it for cut where its connection ended before it did. */
async function* chunksOf(body: IncomingMessage): AsyncGenerator<Buffer> {
  for await (const chunk of body) yield chunk as Buffer;
  if (!body.complete) throw new Retryable('the answer was cut');
}
