import type { ErrorCode } from '../../base/errors.ts';

/**
 * What goes over the socket of a fetcher. A client sends one byte when it has connected. As {@link DATA} it is one
 * thread that reads: it sends requests, and gets an answer to each that wants one, in order. As {@link CONTROL} it is
 * the daemon: lines of JSON go both ways. Numbers are little endian. Both ends take each other for hostile.
 */
export const DATA = 'd'.charCodeAt(0);
export const CONTROL = 'c'.charCodeAt(0);

/** Asks for a packed block. */
export const WANT = 1;
/** Says that a block was found in the cache. It gets no answer, and may be left out. */
export const TOUCHED = 2;

/** u32 operation, u32 number of the block. */
export const REQUEST_SIZE = 8;
/** u32 status, u32 length of what follows: the packed block where the status is 0, else a message, UTF-8. */
export const ANSWER_HEAD_SIZE = 8;
export const MAX_MESSAGE_SIZE = 1000;

/** The errors that an answer can have, by status. */
const FAULTS: readonly ErrorCode[] = ['store-unavailable', 'damaged', 'io', 'interrupted'];
const IO_STATUS = 3;

export interface FetcherRequest {
  readonly operation: number;
  readonly block: number;
}

export function encodeRequest({ operation, block }: FetcherRequest): Buffer {
  const bytes = Buffer.alloc(REQUEST_SIZE);
  bytes.writeUInt32LE(operation, 0);
  bytes.writeUInt32LE(block, 4);
  return bytes;
}

/** @param bytes of {@link REQUEST_SIZE} or more; both numbers may be any */
export function decodeRequest(bytes: Buffer): FetcherRequest {
  return { operation: bytes.readUInt32LE(0), block: bytes.readUInt32LE(4) };
}

/** Returns the head of an answer with a packed block. @param length of the block, bytes */
export function encodeBlockHead(length: number): Buffer {
  return encodeHead(0, length);
}

/** Returns a whole answer that has no block. A code that answers do not have becomes `io`. */
export function encodeFault(code: ErrorCode, message: string): Buffer {
  const status = FAULTS.indexOf(code) + 1 || IO_STATUS;
  const text = Buffer.from(message);
  // A character that was cut is none.
  const kept = Buffer.from(text.subarray(0, MAX_MESSAGE_SIZE - 2).toString('utf8'));
  const said = text.length <= MAX_MESSAGE_SIZE ? text : kept;
  return Buffer.concat([encodeHead(status, said.length), said]);
}

/** The head of an answer: how many bytes follow, and the code of the error if they are its message. */
export interface AnswerHead {
  readonly length: number;
  readonly fault?: ErrorCode;
}

/**
 * Decodes the head of an answer.
 * @param bytes of {@link ANSWER_HEAD_SIZE} or more
 * @param blockLength the size of the packed block that was asked for
 * @returns undefined for one that can not be
 */
export function decodeAnswerHead(bytes: Buffer, blockLength: number): AnswerHead | undefined {
  const [status, length] = [bytes.readUInt32LE(0), bytes.readUInt32LE(4)];
  if (status === 0) return length === blockLength ? { length } : undefined;
  const fault = FAULTS[status - 1];
  return fault === undefined || length > MAX_MESSAGE_SIZE ? undefined : { length, fault };
}

function encodeHead(status: number, length: number): Buffer {
  const bytes = Buffer.alloc(ANSWER_HEAD_SIZE);
  bytes.writeUInt32LE(status, 0);
  bytes.writeUInt32LE(length, 4);
  return bytes;
}

/** Bytes of a line that the daemon sends over its connection. */
export const MAX_QUESTION_SIZE = 4096;
/** Bytes of a line that it gets there: a profile is as large as one can be, and written in a text of JSON once more. */
export const MAX_LINE_SIZE = 4_194_304;

/** What the daemon asks. */
export type ControlQuestion = { readonly ask: 'status' } | { readonly ask: 'profile' };

/** What the daemon gets: an answer to each question, in order, and between them lines for its log. */
export type ControlLine =
  | { readonly status: FetcherStatus }
  | { readonly profile: string }
  | { readonly log: { readonly level: 'info' | 'warning'; readonly text: string } };

/** What a fetcher did so far. */
export const fetcherCounters = [
  /** Blocks of the image. */
  'blocks',
  /** Blocks that its mount has read, each once. */
  'touchedBlocks',
  /** Blocks that threads asked for, as they were not in the cache; each time that they did. */
  'wantedBlocks',
  /** Those of them that were there when they were asked for: of another mount, or fetched ahead. */
  'cacheHits',
  /** Blocks that came from the store, the bytes of them, and the requests that brought them. */
  'fetchedBlocks',
  'fetchedBytes',
  'requests',
  /** Requests that failed, with all their repetitions. */
  'failures',
] as const;

export type FetcherCounter = (typeof fetcherCounters)[number];

export type FetcherStatus = { readonly url: string } & { readonly [Name in FetcherCounter]: number };
