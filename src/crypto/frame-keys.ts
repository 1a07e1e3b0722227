import { Region } from '../base/linux/native.ts';
import { wipe } from '../base/wipe.ts';
import { NONCE_SIZE } from '../format/record.ts';
import type { SuiteName } from '../format/suites.ts';
import { deriveFrameKey } from './image-keys.ts';
import type { AeadKey, Primitives } from './primitives.ts';
import { Secret } from './secret.ts';

const FRAME_KEY_SIZE = 32;

/** Calls that seal or open one frame under its key and nonce. */
type UseOfKey<T> = (key: AeadKey, nonce: Region, nonceOffset: number) => T;

/** The keys of a journal's frames (format.md §8). */
export interface FrameKeys {
  /**
   * Calls `use` with the key and the nonce of a frame.
   * @param number of the frame, from 0
   * @param frame has its 12 random bytes at `offset`
   */
  use<T>(number: number, frame: Region, offset: number, use: UseOfKey<T>): T;
  /** Wipes the keys; further use throws. */
  dispose(): void;
}

/** Makes the keys of a journal's frames. @param journalKey the caller wipes it */
export function frameKeys(p: Primitives, journalKey: Secret, suite: SuiteName): FrameKeys {
  return suite === 'fips' ? new KeyForEachFrame(p, journalKey) : new OneKey(p.chacha20Poly1305(journalKey.bytes));
}

/** The random bytes of a frame are its nonce. */
class OneKey implements FrameKeys {
  readonly #key: AeadKey;

  constructor(key: AeadKey) {
    this.#key = key;
  }

  use<T>(_number: number, frame: Region, offset: number, use: UseOfKey<T>): T {
    return use(this.#key, frame, offset);
  }

  dispose(): void {
    this.#key.dispose();
  }
}

/** The random bytes of a frame make its key, which serves for one message; so the nonce may always be zeros. */
class KeyForEachFrame implements FrameKeys {
  readonly #primitives: Primitives;
  readonly #journalKey: Secret;
  readonly #frameKey = Secret.zeros(FRAME_KEY_SIZE);
  readonly #nonce = new Region(NONCE_SIZE);

  constructor(p: Primitives, journalKey: Secret) {
    this.#primitives = p;
    this.#journalKey = Secret.copy(journalKey.bytes);
  }

  use<T>(number: number, frame: Region, offset: number, use: UseOfKey<T>): T {
    const random = frame.bytes.subarray(offset, offset + NONCE_SIZE);
    deriveFrameKey(this.#primitives, this.#journalKey, number, random, this.#frameKey);
    try {
      const key = this.#primitives.aes256Gcm(this.#frameKey.bytes);
      try {
        return use(key, this.#nonce, 0);
      } finally {
        key.dispose();
      }
    } finally {
      wipe(this.#frameKey.bytes);
    }
  }

  dispose(): void {
    for (const key of [this.#journalKey, this.#frameKey]) key.wipe();
  }
}
