import { type Attributes, type FileSystem, isWritable, type WritableFileSystem } from './filesystem.ts';
import type { ReadAhead } from './read-ahead.ts';
import type { Reply } from './reply.ts';
import type { Request } from './request.ts';

/** What the kernel and the file system have agreed on. */
export interface Session {
  /**
   * Whether the kernel drops cached pages of a file that is written to through an opening with FOPEN_DIRECT_IO, so that
   * others never read old ones. It does so from Linux 6.6 on, which also offers to map such files.
   */
  isDirectCoherent: boolean;
}

/**
 * The input and output of an operation's handler: a request, the file system that it is for, and the space for its
 * reply.
 */
export interface Exchange {
  readonly fileSystem: FileSystem;
  readonly readAhead: ReadAhead | undefined;
  readonly request: Request;
  readonly reply: Reply;
  /** The counters of the connection, in the layout of {@link Counter}. */
  readonly counters: Float64Array;
  /** How long the kernel may cache the names and attributes of a reply. */
  readonly validSeconds: number;
  /** When defined, only root and this user are served; otherwise all users, as far as permissions allow. */
  readonly onlyUid: number | undefined;
  readonly session: Session;
  /** Whether to serve over io_uring if the kernel offers it. */
  readonly wantsRing: boolean;
  /**
   * Is called when the kernel and the file system have agreed on a version of the protocol.
   * @param overRing whether also on io_uring
   */
  readonly onInit: (overRing: boolean) => void;
}

/** An {@link Exchange} for an operation that changes something. */
export interface WritingExchange extends Exchange {
  readonly fileSystem: WritableFileSystem;
}

/**
 * Carries out an operation and returns the number of bytes in the reply's body. Throws an Errno to answer with that
 * error; any other error is reported and answered with EIO.
 */
export type Handler = (exchange: Exchange) => number;

export type WritingHandler = (exchange: WritingExchange) => number;

/**
 * Writes struct fuse_entry_out of a node into the reply, which raises the node's lookup count. Returns the struct's
 * size.
 */
export function replyEntry({ fileSystem, reply, validSeconds }: Exchange, at: number, attributes: Attributes): number {
  if (isWritable(fileSystem)) fileSystem.addLookup(attributes.node);
  return reply.entry(at, attributes, validSeconds);
}
