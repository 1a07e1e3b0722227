import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from 'node:http2';
import { createConnection, isIP } from 'node:net';
import { Deadline } from '../../base/deadline.ts';
import { CkptfsError, systemErrorName } from '../../base/errors.ts';
import { printable } from '../../base/printable.ts';
import { wipe } from '../../base/wipe.ts';
import { offHeap } from '../../crypto/off-heap.ts';
import { interruptible } from '../sources/interruptible.ts';
import { inSeconds } from '../sources/time-limit.ts';
import { withinTime } from '../sources/within-time.ts';

/** One unary call of gRPC over HTTP/2 (PROTOCOL-HTTP2.md of gRPC), of a message with one field of bytes. */

const SERVICE = '/keyprovider.KeyProviderService';
/** Whether the message is compressed (1 byte), and its length (4 bytes). */
const FRAME_PREFIX_SIZE = 5;
/** Field 1, of bytes. */
const FIELD = 0x0a;
const MAX_SHOWN_MESSAGE = 300;
/** Status codes of gRPC that say that the caller may not do this. */
const DENIED: readonly string[] = ['7', '16'];
const UNAVAILABLE = '14';

export interface GrpcCall {
  /** Names the provider in messages. */
  readonly source: string;
  /** `HOST:PORT` of the loopback interface, or `unix:PATH`. */
  readonly address: string;
  readonly method: 'WrapKey' | 'UnWrapKey';
  readonly message: Uint8Array;
  readonly seconds: number;
  /** Ends it earlier. */
  readonly deadline?: Deadline | undefined;
}

/**
 * Calls a key provider, and puts its answer into memory of the caller.
 * @returns the size of the answer
 * @throws CkptfsError `key-unavailable`, `interrupted`
 */
export function callGrpc(call: GrpcCall, into: Buffer): Promise<number> {
  const { source, seconds, deadline = Deadline.after(seconds * 1000) } = call;
  const place = placeOf(call);
  return interruptible((interrupted) =>
    withinTime(deadline.left, interrupted, async (signal) => {
      const session = connect('http://localhost', { createConnection: () => createConnection(place) });
      const frame = framed(call.message);
      const received = offHeap(FRAME_PREFIX_SIZE + 8 + into.length);
      try {
        const length = await answerOf(session, call, frame, received, signal);
        return unframed(source, received.subarray(0, length), into);
      } catch (error) {
        if (!interrupted.aborted && signal.aborted)
          throw failed('timeout', `${source}: no answer within ${inSeconds(seconds)}`, error);
        throw error;
      } finally {
        session.destroy();
        wipe(frame);
        wipe(received);
      }
    }),
  );
}

/** @throws CkptfsError `key-unavailable` for a server on the way to which others could read */
function placeOf({ source, address }: GrpcCall): { path: string } | { host: string; port: number } {
  const [, path] = /^unix:(?:\/\/)?(\/.+)$/.exec(address) ?? [];
  if (path !== undefined) return { path };
  const [, name = '', port = ''] = /^(?:dns:\/*)?(?:\[?([\w.:-]+?)\]?):(\d{1,5})$/.exec(address) ?? [];
  const isHere = name === 'localhost' || name === '::1' || (isIP(name) === 4 && name.startsWith('127.'));
  if (isHere && Number(port) < 65536) return { host: name, port: Number(port) };
  const problem = `its gRPC address ${printable(address)} is not of this host, and the way there is not encrypted`;
  throw failed('refused', `${source}: ${problem}`);
}

/** Sends the request, and returns how many bytes of answer there are. */
function answerOf(
  session: ClientHttp2Session,
  { source, method }: GrpcCall,
  frame: Buffer,
  into: Buffer,
  signal: AbortSignal,
): Promise<number> {
  return new Promise((resolve, reject) => {
    const fail = (error: unknown): void => reject(connectionError(source, error));
    session.once('error', fail);
    const stream: ClientHttp2Stream = session.request(
      {
        [constants.HTTP2_HEADER_METHOD]: 'POST',
        [constants.HTTP2_HEADER_PATH]: `${SERVICE}/${method}`,
        [constants.HTTP2_HEADER_CONTENT_TYPE]: 'application/grpc',
        [constants.HTTP2_HEADER_TE]: 'trailers',
        [constants.HTTP2_HEADER_USER_AGENT]: 'ckptfs',
      },
      { signal },
    );
    let length = 0;
    let answered: Readonly<Record<string, unknown>> = {};
    let trailing: Readonly<Record<string, unknown>> = {};
    stream.once('response', (headers) => {
      answered = headers;
    });
    stream.once('trailers', (headers) => {
      trailing = headers;
    });
    stream.on('data', (chunk: Buffer) => {
      length += chunk.copy(into, length);
      wipe(chunk);
      if (length === into.length) stream.destroy(failed('garbage', `${source}: its answer is too long`));
    });
    stream.once('error', fail).once('end', () => {
      const problem = problemOf(source, answered, { ...answered, ...trailing });
      if (problem === undefined) resolve(length);
      else reject(problem);
    });
    stream.end(frame);
  });
}

/** Returns the error of a call that did not end well. */
function problemOf(
  source: string,
  answered: Readonly<Record<string, unknown>>,
  headers: Readonly<Record<string, unknown>>,
): CkptfsError | undefined {
  const status = headers['grpc-status'];
  if (answered[':status'] !== 200 || typeof status !== 'string')
    return failed('garbage', `${source}: the server does not speak gRPC`);
  if (status === '0') return undefined;
  const message = printable(decodedMessage(headers['grpc-message']), MAX_SHOWN_MESSAGE);
  const reason = DENIED.includes(status) ? 'denied' : status === UNAVAILABLE ? 'unreachable' : 'refused';
  return failed(reason, `${source}: the server answers status ${status.slice(0, 3)}${message && `: ${message}`}`);
}

/** Servers percent-encode what is not printable ASCII. */
function decodedMessage(value: unknown): string {
  if (typeof value !== 'string') return '';
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}

/** Makes the frame of a message with one field. */
function framed(bytes: Uint8Array): Buffer {
  const size = varint(bytes.length);
  const frame = offHeap(FRAME_PREFIX_SIZE + 1 + size.length + bytes.length);
  frame.writeUInt32BE(frame.length - FRAME_PREFIX_SIZE, 1);
  frame.set([FIELD, ...size], FRAME_PREFIX_SIZE);
  frame.set(bytes, frame.length - bytes.length);
  return frame;
}

function varint(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...varint(value >>> 7)];
}

/** Copies the one field of a framed message. Returns its size. @throws CkptfsError `key-unavailable` */
function unframed(source: string, frame: Buffer, into: Buffer): number {
  const garbage = failed('garbage', `${source}: its answer is no message of a key provider`);
  if (frame.length < FRAME_PREFIX_SIZE + 2 || frame[0] !== 0 || frame[FRAME_PREFIX_SIZE] !== FIELD) throw garbage;
  if (frame.readUInt32BE(1) !== frame.length - FRAME_PREFIX_SIZE) throw garbage;
  let [at, size, shift, byte] = [FRAME_PREFIX_SIZE + 1, 0, 0, 0x80];
  for (; (byte & 0x80) !== 0 && shift <= 21; shift += 7) {
    byte = frame[at++] ?? 0;
    size |= (byte & 0x7f) << shift;
  }
  if (size !== frame.length - at || size > into.length) throw garbage;
  return frame.copy(into, 0, at);
}

function connectionError(source: string, error: unknown): CkptfsError {
  if (error instanceof CkptfsError) return error;
  // A stream that ends with its connection says so, and has the error of the connection for a cause.
  if (error instanceof Error && error.cause !== undefined) return connectionError(source, error.cause);
  const code = systemErrorName(error) ?? String(error);
  if (/^E(?:CONN|PIPE|NOENT|ACCES|HOST|NET|ADDR)/.test(code))
    return failed('unreachable', `${source}: no connection (${code})`, error);
  return failed('garbage', `${source}: the server does not speak gRPC (${code})`, error);
}

type Reason = 'unreachable' | 'timeout' | 'refused' | 'denied' | 'garbage';

function failed(reason: Reason, message: string, cause?: unknown): CkptfsError {
  return new CkptfsError('key-unavailable', message, { data: { reason }, cause });
}
