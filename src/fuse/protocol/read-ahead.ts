import type { Region } from '../../base/linux/native.ts';

/**
 * What a transport may have beside a file system, to answer reads of files that are opened directly from memory that
 * was filled before they were asked for. One thread must have it for itself. Nothing but speed depends on it.
 */
export interface ReadAhead {
  /** Notes that a file was opened to be read directly. Returns the file handle, or 0 where its reads are ordinary. */
  opened(node: number): number;
  /** Notes that a file handle which is not 0 was closed. */
  closed(handle: number): void;
  /**
   * Reads like {@link FileSystem.read}, but puts together the body of the reply from pieces.
   * @param handle as the kernel gives it
   * @throws Errno as that does
   */
  read(handle: number, node: number, offset: number, length: number, reply: PiecedReply): number;
  /** Must be called after the reply to a read was sent or given up: its pieces may then change. */
  sent(): void;
  /** False when {@link work} would find nothing to do. */
  readonly mayHaveWork: boolean;
  /** Does one small piece of work ahead of requests. @returns false when there was nothing to do */
  work(): boolean;
}

/** A reply whose body is made of pieces: in its own memory, or elsewhere. */
export interface PiecedReply {
  readonly memory: Region;
  /** Where the body begins in {@link memory}. A piece in that memory lies where it would be if it were all there. */
  readonly bodyOffset: number;
  /** Adds bytes to the end of the body. @param address of memory that stays as it is until the reply was sent */
  piece(address: number, length: number): void;
}
