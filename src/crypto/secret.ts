import { inspect } from 'node:util';
import { CkptfsError } from '../base/errors.ts';
import { Region } from '../base/linux/native.ts';
import { wipe } from '../base/wipe.ts';
import { LockedPages } from './locked-pages.ts';
import { fillRandom } from './system-random.ts';

const MAX_LENGTH = 65536;
const REDACTED = '[secret]';

/**
 * Holds key bytes outside the JavaScript heap, on pages of their own that are locked into memory and left out of core
 * dumps as far as the system allows. Text, JSON, inspection and structured clones of a Secret do not show its bytes.
 */
export class Secret {
  readonly length: number;
  /** Whether the pages are locked: false means that they may be swapped out (RLIMIT_MEMLOCK). */
  readonly locked: boolean;
  readonly #memory: SharedArrayBuffer;
  readonly #pages: LockedPages;
  #wiped = false;

  private constructor(memory: SharedArrayBuffer) {
    this.#memory = memory;
    this.#pages = new LockedPages(memory);
    this.length = this.#pages.bytes.length;
    this.locked = this.#pages.locked;
  }

  /** Makes a secret of zeros, to be filled through {@link bytes}. @param length 1 to 65,536 bytes */
  static zeros(length: number): Secret {
    if (!(length >= 1 && length <= MAX_LENGTH)) throw new CkptfsError('internal', `a secret of ${length} bytes`);
    return new Secret(new SharedArrayBuffer(LockedPages.memoryFor(length)));
  }

  /** Makes a secret of random bytes from the kernel. */
  static random(length: number): Secret {
    const secret = Secret.zeros(length);
    fillRandom(new Region(secret.#pages.bytes));
    return secret;
  }

  static copy(source: Uint8Array): Secret {
    const secret = Secret.zeros(source.length);
    secret.#pages.bytes.set(source);
    return secret;
  }

  /** Copies the source, then wipes it. */
  static take(source: Uint8Array): Secret {
    try {
      return Secret.copy(source);
    } finally {
      wipe(source);
    }
  }

  /**
   * Makes a secret of the same bytes, not a copy, in another thread.
   * @param memory the first secret's {@link shared}
   */
  static fromShared(memory: SharedArrayBuffer): Secret {
    const length = LockedPages.lengthIn(memory);
    if (!(length >= 1 && length <= MAX_LENGTH))
      throw new CkptfsError('internal', 'this memory has not the size of a secret');
    return new Secret(memory);
  }

  /** The bytes themselves, not a copy. @throws CkptfsError `internal` after {@link wipe} */
  get bytes(): Uint8Array {
    this.#checkLive();
    return this.#pages.bytes;
  }

  /** The memory to post to another thread, for {@link fromShared}. Wiping in one thread wipes for all. */
  get shared(): SharedArrayBuffer {
    this.#checkLive();
    return this.#memory;
  }

  /** Overwrites the bytes and unlocks the pages. May be called again. */
  wipe(): void {
    if (this.#wiped) return;
    this.#wiped = true;
    this.#pages.release();
  }

  toString(): string {
    return REDACTED;
  }

  toJSON(): string {
    return REDACTED;
  }

  [inspect.custom](): string {
    return REDACTED;
  }

  #checkLive(): void {
    if (this.#wiped) throw new CkptfsError('internal', 'a secret was used after it was wiped');
  }
}
