import { type Attributes, type FileSystem, isWritable, type WritableFileSystem } from './filesystem.ts';
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

/** The same for an operation that changes something. */
export interface WritingExchange extends Exchange {
  readonly fileSystem: WritableFileSystem;
}

/**
 * Carries an operation out and returns the number of bytes of the reply's body. Throws an Errno to answer with that error;
 * anything else it throws is a fault, reported and answered with EIO.
 */
export type Handler = (exchange: Exchange) => number;

export type WritingHandler = (exchange: WritingExchange) => number;

/** Puts struct fuse_entry_out of a node into the reply, whereby the kernel remembers it. Returns its size. */
export function tellEntry({ fileSystem, reply, validSeconds }: Exchange, at: number, attributes: Attributes): number {
  if (isWritable(fileSystem)) fileSystem.remember(attributes.node);
  return reply.entry(at, attributes, validSeconds);
}
