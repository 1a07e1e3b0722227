import type { Region } from '../base/linux/native.ts';
import type { AeadKey } from './primitives.ts';
import type { SectorCipher } from './sector-cipher.ts';
import { SectorHead } from './sector-head.ts';

/** Seals each sector as one message. */
export class AeadSectorCipher implements SectorCipher {
  readonly #key: AeadKey;

  /** @param key of tags of 12 bytes */
  constructor(key: AeadKey) {
    this.#key = key;
  }

  seal(
    head: SectorHead,
    plain: Region,
    plainOffset: number,
    stored: Region,
    storedOffset: number,
    length: number,
    tag: Region,
    tagOffset: number,
  ): void {
    this.#key.beginSeal(head.nonce, 0);
    this.#key.additional(head.additional, 0, SectorHead.additionalSize);
    if (length > 0) this.#key.crypt(plain, plainOffset, stored, storedOffset, length);
    this.#key.finish(tag, tagOffset);
  }

  open(
    head: SectorHead,
    stored: Region,
    storedOffset: number,
    to: Region,
    toOffset: number,
    length: number,
    tag: Region,
    tagOffset: number,
  ): boolean {
    this.#key.beginOpen(head.nonce, 0);
    this.#key.additional(head.additional, 0, SectorHead.additionalSize);
    if (length > 0) this.#key.crypt(stored, storedOffset, to, toOffset, length);
    return this.#key.verify(tag, tagOffset);
  }

  verify(
    head: SectorHead,
    stored: Region,
    storedOffset: number,
    length: number,
    tag: Region,
    tagOffset: number,
  ): boolean {
    return this.open(head, stored, storedOffset, stored, storedOffset, length, tag, tagOffset);
  }

  dispose(): void {
    this.#key.dispose();
  }
}
