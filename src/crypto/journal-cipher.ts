import { Region } from '../base/linux/native.ts';
import { wipe } from '../base/wipe.ts';
import {
  FRAME_HEAD_SIZE,
  FRAME_OVERHEAD,
  FRAME_TAG_SIZE,
  JOURNAL_HEADER_SIZE,
  parseJournalHeader,
} from '../format/journal-codec.ts';
import { DEFAULT_SUITE, type SuiteName } from '../format/suites.ts';
import { checkLength } from './checks.ts';
import { type FrameKeys, frameKeys } from './frame-keys.ts';
import { deriveJournalKey } from './image-keys.ts';
import type { AeadKey, Primitives } from './primitives.ts';
import type { Secret } from './secret.ts';
import { fillRandom } from './system-random.ts';

const NONCE_OFFSET = 4;
/** The journal's header ‖ u64 number of the frame ‖ u32 length of its ciphertext. */
const ADDITIONAL_SIZE = JOURNAL_HEADER_SIZE + 8 + 4;

/** Seals and opens the frames of one journal (format.md §8). Belongs to one thread. */
export class JournalCipher {
  readonly #keys: FrameKeys;
  readonly #additional = new Region(ADDITIONAL_SIZE);

  /**
   * @param imageId 16 bytes
   * @param header of the journal, 32 bytes
   * @throws MalformedError when `header` is not a journal's header
   */
  constructor(
    p: Primitives,
    imageKey: Secret,
    imageId: Uint8Array,
    header: Uint8Array,
    suite: SuiteName = DEFAULT_SUITE,
  ) {
    checkLength('image id', imageId, 16);
    const key = deriveJournalKey(p, imageKey, imageId, parseJournalHeader(header));
    try {
      this.#keys = frameKeys(p, key, suite);
    } finally {
      key.wipe();
    }
    this.#additional.bytes.set(header);
  }

  /**
   * Encrypts a frame under a random nonce.
   * @param number of the frame in the journal, from 0
   * @param plain at least one byte
   * @returns the whole frame: length, nonce, ciphertext, tag
   */
  seal(number: number, plain: Uint8Array): Buffer {
    const frame = new Region(plain.length + FRAME_OVERHEAD);
    frame.view.setUint32(0, plain.length, true);
    fillRandom(frame, NONCE_OFFSET, FRAME_HEAD_SIZE - NONCE_OFFSET);
    this.#keys.use(number, frame, NONCE_OFFSET, (key, nonce, offset) => {
      key.beginSeal(nonce, offset);
      this.#describe(key, number, plain.length);
      key.crypt(new Region(plain), 0, frame, FRAME_HEAD_SIZE, plain.length);
      key.finish(frame, FRAME_HEAD_SIZE + plain.length);
    });
    return frame.bytes;
  }

  /**
   * Authenticates and decrypts a frame.
   * @param frame the whole frame
   * @returns the plaintext, or undefined when this is not the journal's authentic frame of that number
   */
  open(number: number, frame: Uint8Array): Buffer | undefined {
    const length = frame.length - FRAME_OVERHEAD;
    const sealed = new Region(frame);
    if (length < 1 || sealed.view.getUint32(0, true) !== length) return undefined;
    const plain = new Region(length);
    const isAuthentic = this.#keys.use(number, sealed, NONCE_OFFSET, (key, nonce, offset) => {
      key.beginOpen(nonce, offset);
      this.#describe(key, number, length);
      key.crypt(sealed, FRAME_HEAD_SIZE, plain, 0, length);
      return key.verify(sealed, frame.length - FRAME_TAG_SIZE);
    });
    if (isAuthentic) return plain.bytes;
    wipe(plain.bytes);
    return undefined;
  }

  /** Wipes the key; further use throws. */
  dispose(): void {
    this.#keys.dispose();
  }

  #describe(key: AeadKey, number: number, length: number): void {
    this.#additional.view.setBigUint64(JOURNAL_HEADER_SIZE, BigInt(number), true);
    this.#additional.view.setUint32(JOURNAL_HEADER_SIZE + 8, length, true);
    key.additional(this.#additional, 0, ADDITIONAL_SIZE);
  }
}
