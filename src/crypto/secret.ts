import { inspect } from 'node:util';
import { CkptfsError } from '../base/errors.ts';
import { Region } from '../base/native.ts';
import { LockedPages } from './locked-pages.ts';
import { fillRandom } from './system-random.ts';
import { wipe } from './wipe.ts';

const MAX_LENGTH = 65536;
const redacted = '[secret]';

/**
 * Key bytes: outside the JavaScript heap, on pages of their own that are locked into memory and left out of core dumps as
 * far as the system lets. Text, JSON, inspection and structured clones of a Secret say nothing of its bytes.
 */
export class Secret {
  readonly length: number;
  /** Whether the pages are locked: false means they may be swapped out (RLIMIT_MEMLOCK). */
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

  /** All zeros, to be filled through {@link bytes}. @param length 1 to 65,536 bytes */
  static zeros(length: number): Secret {
    if (!(length >= 1 && length <= MAX_LENGTH)) throw new CkptfsError('internal', `a secret of ${length} bytes`);
    return new Secret(new SharedArrayBuffer(LockedPages.memoryFor(length)));
  }

  /** Makes one of random bytes of the kernel's. */
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

  /** The same bytes, no copy, in another thread. @param memory what {@link shared} gave there */
  static fromShared(memory: SharedArrayBuffer): Secret {
    const length = LockedPages.lengthIn(memory);
    if (!(length >= 1 && length <= MAX_LENGTH)) throw new CkptfsError('internal', 'this memory is no secret');
    return new Secret(memory);
  }

  /** The bytes themselves, not a copy. Throws CkptfsError internal after {@link wipe}. */
  get bytes(): Uint8Array {
    this.#checkLive();
    return this.#pages.bytes;
  }

  /** What to post to another thread, for {@link fromShared}. Whoever wipes, wipes for all. */
  get shared(): SharedArrayBuffer {
    this.#checkLive();
    return this.#memory;
  }

  /** Overwrites the bytes and gives the pages back. May be called again. */
  wipe(): void {
    if (this.#wiped) return;
    this.#wiped = true;
    this.#pages.release();
  }

  toString(): string {
    return redacted;
  }

  toJSON(): string {
    return redacted;
  }

  [inspect.custom](): string {
    return redacted;
  }

  #checkLive(): void {
    if (this.#wiped) throw new CkptfsError('internal', 'a secret was used after it was wiped');
  }
}
