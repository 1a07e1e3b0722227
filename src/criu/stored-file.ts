import { MalformedError } from '../base/bytes.ts';
import type { Region } from '../base/linux/native.ts';

/** An open file of the directory, as it is stored. */
export interface StoredFile {
  /** Bytes that it had when it was opened. */
  readonly size: number;
  /** Reads bytes; fewer than `length` only at the end. @throws CkptfsError `io` */
  read(to: Region, toOffset: number, length: number, position: number): number;
}

/** Reads bytes that must be there. @throws MalformedError when the file ends before; CkptfsError `io` */
export function readStored(file: StoredFile, to: Region, toOffset: number, length: number, position: number): void {
  const isThere = position + length <= file.size && file.read(to, toOffset, length, position) === length;
  if (!isThere) throw new MalformedError('it ends early');
}
