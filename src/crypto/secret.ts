import { randomFillSync } from 'node:crypto';
import { inspect } from 'node:util';
import { CkptfsError } from '../base/errors.ts';
import { bind, Region } from '../base/native.ts';
import { wipe } from './wipe.ts';

const getPageSize = bind('getpagesize', 'int', []);
const lock = bind('mlock', 'int', ['uintptr_t', 'size_t']);
const unlock = bind('munlock', 'int', ['uintptr_t', 'size_t']);
const advise = bind('madvise', 'int', ['uintptr_t', 'size_t', 'int']);

/** asm-generic/mman-common.h */
const MADV_DONTDUMP = 16;
const MADV_DODUMP = 17;

const pageSize = getPageSize();
/** Room to start the secret on a page of its own and to let nothing else share its last one. */
const padding = 2 * pageSize;
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
  readonly #bytes: Uint8Array;
  /** The pages the bytes lie on. */
  readonly #pages: { readonly address: number; readonly length: number };
  #wiped = false;

  private constructor(memory: SharedArrayBuffer) {
    this.#memory = memory;
    this.length = memory.byteLength - padding;
    const start = new Region(new Uint8Array(memory)).address;
    const offset = (pageSize - (start % pageSize)) % pageSize;
    this.#bytes = new Uint8Array(memory, offset, this.length);
    this.#pages = { address: start + offset, length: Math.ceil(this.length / pageSize) * pageSize };
    this.locked = lock(this.#pages.address, this.#pages.length) === 0;
    advise(this.#pages.address, this.#pages.length, MADV_DONTDUMP);
  }

  /** All zeros, to be filled through {@link bytes}. @param length 1 to 65,536 bytes */
  static zeros(length: number): Secret {
    if (!(length >= 1 && length <= MAX_LENGTH)) throw new CkptfsError('internal', `a secret of ${length} bytes`);
    return new Secret(new SharedArrayBuffer(length + padding));
  }

  /** From the system's random generator. */
  static random(length: number): Secret {
    const secret = Secret.zeros(length);
    randomFillSync(secret.#bytes);
    return secret;
  }

  static copy(source: Uint8Array): Secret {
    const secret = Secret.zeros(source.length);
    secret.#bytes.set(source);
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
    const length = memory.byteLength - padding;
    if (!(length >= 1 && length <= MAX_LENGTH)) throw new CkptfsError('internal', 'this memory is no secret');
    return new Secret(memory);
  }

  /** The bytes themselves, not a copy. Throws CkptfsError internal after {@link wipe}. */
  get bytes(): Uint8Array {
    this.#checkLive();
    return this.#bytes;
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
    wipe(this.#bytes);
    unlock(this.#pages.address, this.#pages.length);
    advise(this.#pages.address, this.#pages.length, MADV_DODUMP);
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
