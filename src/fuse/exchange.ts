import type { FileSystem } from './filesystem.ts';
import type { Reply } from './reply.ts';
import type { Request } from './request.ts';

/** What the handler of an operation works on: one request, the file system it is for, and the space for its reply. */
export interface Exchange {
  readonly fileSystem: FileSystem;
  readonly request: Request;
  readonly reply: Reply;
  /** How long the kernel may remember names and attributes it is told of. */
  readonly validSeconds: number;
  /** Only root and this user are served, or everybody the permissions let in. */
  readonly onlyUid: number | undefined;
}

/**
 * Carries an operation out and returns the number of bytes of the reply's body. Throws an Errno to answer with that error;
 * anything else it throws is a fault, reported and answered with EIO.
 */
export type Handler = (exchange: Exchange) => number;
