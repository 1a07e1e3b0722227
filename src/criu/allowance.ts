import { MalformedError } from '../base/bytes.ts';
import { CkptfsError } from '../base/errors.ts';

/**
 * Bytes of images that are decrypted as a whole and held: all but pages of memory, contents of ghost files and archives
 * of tmpfs. Some MiB are usual.
 */
export const MAX_HELD_BYTES = 1 << 28;

/** Pieces of files that are decrypted as they are read. Ghost files of 16 GiB have as many records. */
export const MAX_PIECES = 1 << 22;

/**
 * What all directories of a tree together may take of memory. Sizes of files are the word of the storage: a file of
 * holes takes no space there.
 */
export class Allowance {
  #bytes: number;
  #pieces: number;

  constructor(bytes: number = MAX_HELD_BYTES, pieces: number = MAX_PIECES) {
    this.#bytes = bytes;
    this.#pieces = pieces;
  }

  /** @param path for messages @throws CkptfsError `unsupported-source` */
  hold(bytes: number, path: string): void {
    if (bytes > this.#bytes) {
      const what = `${path} has images of ${bytes} bytes beside memory; ${this.#bytes} more can be opened`;
      throw new CkptfsError('unsupported-source', what, { path, data: { reason: 'too-large' } });
    }
    this.#bytes -= bytes;
  }

  /** @throws MalformedError */
  addPiece(): void {
    if (this.#pieces === 0) throw new MalformedError('it has more pieces than can be opened');
    this.#pieces--;
  }
}
