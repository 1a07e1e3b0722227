import { createHash } from 'node:crypto';
import { MalformedError } from '../base/bytes.ts';
import type { Region } from '../base/linux/native.ts';
import type { StoredFile } from './stored-file.ts';

/** By file, the SHA-256 of pages of memory as they were stored when the page digest was checked. */
export type CheckedPages = ReadonlyMap<number, Uint8Array>;

/**
 * Reads a file once more, from its start to its end, and fails at the end if it is not what was checked. Pages have no
 * tags, so that nothing else tells when they are changed in between.
 */
export class CheckedFile implements StoredFile {
  readonly size: number;
  readonly #file: StoredFile;
  readonly #expected: Uint8Array | undefined;
  readonly #hash = createHash('sha256');
  #position = 0;

  /** @param expected the digest of what was checked */
  constructor(file: StoredFile, expected: Uint8Array | undefined) {
    this.size = file.size;
    this.#file = file;
    this.#expected = expected;
  }

  /** @throws MalformedError when it is other than what was checked; CkptfsError `io` */
  read(to: Region, toOffset: number, length: number, position: number): number {
    if (position !== this.#position) throw new RangeError(`byte ${position} is read after ${this.#position}`);
    const count = this.#file.read(to, toOffset, length, position);
    this.#hash.update(to.bytes.subarray(toOffset, toOffset + count));
    this.#position += count;
    if (this.#position === this.size && !this.#hash.digest().equals(this.#expected ?? new Uint8Array(0)))
      throw new MalformedError('it was changed since it was checked');
    return count;
  }
}
