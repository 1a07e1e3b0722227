import type { Region } from '../base/linux/native.ts';
import type { WritableFileSystem } from '../fuse/protocol/filesystem.ts';

/** Writes bytes to a file for which space was reserved. */
export type WriteReserved = (node: number, offset: number, length: number, from: Region, fromOffset: number) => void;

/** A file system that can also do the two halves of a write one by one. */
export interface ReservingFileSystem extends WritableFileSystem {
  /**
   * Does everything in a write that can be refused, and reserves space for it.
   * @returns whether the other half reads what is stored, which may be damaged
   * @throws Errno like {@link WritableFileSystem.write}
   */
  reserve(node: number, offset: number, length: number, killPrivileges: boolean): boolean;
  /** Writes the bytes. @throws Errno like {@link WritableFileSystem.write} */
  readonly writeReserved: WriteReserved;
}
