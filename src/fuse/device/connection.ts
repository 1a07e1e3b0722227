import { Errno } from '../../base/errno.ts';
import { Region } from '../../base/linux/native.ts';
import { wipe } from '../../base/wipe.ts';
import { type AnsweredOperation, operationOf, type SilentOperation } from '../ops/opcodes.ts';
import { COUNTED_OPCODES, COUNTER_SLOTS, Counter, count } from '../protocol/counters.ts';
import type { Exchange, WritingExchange } from '../protocol/exchange.ts';
import { type FileSystem, isWritable } from '../protocol/filesystem.ts';
import type { ReadAhead } from '../protocol/read-ahead.ts';
import { Reply } from '../protocol/reply.ts';
import { Request } from '../protocol/request.ts';

/** 1 MiB: the most that the kernel allows unless root raises fs.fuse.max_pages_limit. */
export const DEFAULT_MAX_TRANSFER_BYTES = 1 << 20;

/** A year: longer than any mount lasts, and far below the kernel's own limits. */
const FOREVER_SECONDS = 365 * 86400;

/**
 * Receives every unexpected error: one that a file system threw and that is not an Errno, and replies that the kernel
 * refused. The request was answered with EIO. `node` is 0 for a request that is about no node.
 */
export type ErrorListener = (error: unknown, operation: string, node: number) => void;

interface ConnectionOptions {
  /** Most bytes of one READ or WRITE: a multiple of 4096 to 255 MiB. Default {@link DEFAULT_MAX_TRANSFER_BYTES}. */
  readonly maxTransfer?: number;
  /** The memory of replies, see {@link Reply}; it decides on `maxTransfer`. By default the connection makes its own. */
  readonly replyMemory?: Region;
  /** Answers reads of files that are opened directly. */
  readonly readAhead?: ReadAhead | undefined;
  /** {@link COUNTER_SLOTS} doubles in the layout of {@link Counter}. Only this connection writes them. */
  readonly counters?: Float64Array;
  readonly onError?: ErrorListener;
  /** Is called when no request is being answered, also after a signal has woken the thread. */
  readonly onSettled?: () => void;
  /**
   * Asks for io_uring in the answer to FUSE_INIT. Then the kernel sends no request until all its queues are there, see
   * `serveRings`.
   */
  readonly wantsRing?: boolean;
  /**
   * Is called when FUSE_INIT succeeded, before the reply to it is sent.
   * @param overRing whether the kernel uses io_uring
   */
  readonly onInit?: (overRing: boolean) => void;
  /**
   * Serve only root and this user, and answer EACCES to others, like the mount option `allow_root` of libfuse. The
   * kernel may then cache no names and attributes, because it would answer other users from its cache.
   */
  readonly onlyUid?: number;
}

/**
 * Speaks the server's side of the FUSE protocol for one file system: request bytes in, reply bytes out. It has no
 * device and no thread, so a test can feed it bytes. It never throws, whatever the request holds. It keeps nothing from
 * one request to the next, so several connections can serve one mount when the file system is immutable.
 */
export class Connection {
  readonly #request: Request;
  readonly #reply: Reply;
  readonly #exchange: Exchange;
  /** Like `#exchange`, but for operations that change something; undefined when the file system is immutable. */
  readonly #writing: WritingExchange | undefined;
  readonly #readAhead: ReadAhead | undefined;
  readonly #counters: Float64Array;
  readonly #onError: ErrorListener;
  readonly #onlyUid: number | undefined;
  readonly #onSettled: (() => void) | undefined;

  constructor(fileSystem: FileSystem, options: ConnectionOptions = {}) {
    this.#request = new Request(new Region(0));
    this.#reply = new Reply(options.replyMemory ?? options.maxTransfer ?? DEFAULT_MAX_TRANSFER_BYTES);
    this.#counters = options.counters ?? new Float64Array(COUNTER_SLOTS);
    this.#readAhead = options.readAhead;
    this.#onError = options.onError ?? (() => undefined);
    this.#onlyUid = options.onlyUid;
    this.#onSettled = options.onSettled;
    this.#exchange = {
      fileSystem,
      readAhead: this.#readAhead,
      request: this.#request,
      reply: this.#reply,
      counters: this.#counters,
      validSeconds: this.#onlyUid !== undefined ? 0 : FOREVER_SECONDS,
      onlyUid: this.#onlyUid,
      wantsRing: options.wantsRing ?? false,
      session: { isDirectCoherent: false },
      onInit: options.onInit ?? (() => undefined),
    };
    this.#writing = isWritable(fileSystem) ? { ...this.#exchange, fileSystem } : undefined;
  }

  /** The memory that holds the reply to the last request, unless {@link vectorLength} is above 0. */
  get reply(): Region {
    return this.#reply.memory;
  }

  /** The address of the structs iovec that lead to the last reply, when {@link vectorLength} is above 0. */
  get vector(): number {
    return this.#reply.vector;
  }

  /** How many there are. Only a connection that reads ahead has any. */
  get vectorLength(): number {
    return this.#reply.vectorLength;
  }

  /** False when {@link work} would find nothing to do. */
  get mayHaveWork(): boolean {
    return this.#readAhead?.mayHaveWork ?? false;
  }

  /** Most bytes in one READ or WRITE. */
  get maxTransfer(): number {
    return this.#reply.capacity;
  }

  /**
   * Answers the request in the first `length` bytes of `memory`.
   * @returns the length of the reply in {@link reply}; 0 when the kernel wants none, or the request is too short to
   *   answer
   */
  handle(memory: Region, length: number): number {
    const request = this.#request;
    this.#reply.begin();
    if (!request.open(memory, length)) return 0;
    const operation = operationOf(request.opcode);
    count(this.#counters, Counter.requests, 1);
    count(this.#counters, Counter.opcodes + (request.opcode < COUNTED_OPCODES ? request.opcode : 0), 1);
    if (operation.kind === 'silent') {
      this.#carryOutSilently(operation);
      return 0;
    }
    try {
      request.readHeader();
      const bodyLength = this.#carryOut(operation);
      return this.#reply.finish(0, request.uniqueLow, request.uniqueHigh, bodyLength);
    } catch (error) {
      return this.fail(error);
    }
  }

  /**
   * Answers the last request with an error instead: an Errno as it is, anything else with EIO after reporting it.
   * @returns the length of the reply in {@link reply}
   */
  fail(error: unknown): number {
    const request = this.#request;
    if (!(error instanceof Errno)) this.#report(error, operationOf(request.opcode).name, request.node);
    const { errno } = error instanceof Errno ? error : Errno.of('EIO');
    this.#reply.begin();
    return this.#reply.finish(errno, request.uniqueLow, request.uniqueHigh, 0);
  }

  /**
   * Lets the file system finish deferred work, and blocks that were sent be used again. Must be called after the reply
   * to a request was sent, before the request's memory is used for another. Never throws.
   */
  settle(): void {
    this.#readAhead?.sent();
    this.#onSettled?.();
    if (this.#writing === undefined) return;
    try {
      this.#writing.fileSystem.settle();
    } catch (error) {
      this.#report(error, operationOf(this.#request.opcode).name, this.#request.node);
    }
  }

  /**
   * Does one small piece of work ahead of requests, while none waits.
   * @returns false when there was nothing to do
   */
  work(): boolean {
    return this.#readAhead?.work() ?? false;
  }

  /** Overwrites the last reply with zeros. */
  wipe(): void {
    wipe(this.#reply.memory.bytes);
  }

  #carryOut(operation: AnsweredOperation): number {
    if (this.#onlyUid !== undefined) this.#checkUser(operation, this.#onlyUid);
    if (operation.kind === 'reads') {
      if (operation.handle !== undefined) return operation.handle(this.#exchange);
    } else {
      if (this.#writing === undefined) throw Errno.of('EROFS');
      if (operation.handle !== undefined) return operation.handle(this.#writing);
    }
    throw Errno.of('ENOSYS');
  }

  #checkUser({ askers }: AnsweredOperation, onlyUid: number): void {
    const { uid } = this.#request;
    if (uid !== onlyUid && uid !== 0 && askers === 'one-user') throw Errno.of('EACCES');
  }

  /**
   * Carries out an operation that has no reply. A malformed request is ignored, because no process waits for an answer.
   */
  #carryOutSilently({ name, handle }: SilentOperation): void {
    if (handle === undefined || this.#writing === undefined) return;
    try {
      this.#request.readHeader();
      handle(this.#writing);
    } catch (error) {
      if (!(error instanceof Errno)) this.#report(error, name, this.#request.node);
    }
  }

  #report(error: unknown, operation: string, node: number): void {
    count(this.#counters, Counter.faults, 1);
    try {
      this.#onError(error, operation, node);
    } catch {
      // A listener that fails must not end the mount, and there is no one else to report to.
    }
  }
}
