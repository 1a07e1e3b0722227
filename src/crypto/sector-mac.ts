import type { Region } from '../base/linux/native.ts';
import type { GmacKey, XtsKey } from './primitives.ts';
import type { SectorCipher } from './sector-cipher.ts';
import { SectorHead } from './sector-head.ts';

/**
 * Authenticates each sector by a GMAC over what is stored of it: one XTS data unit or, without an XTS key, plaintext.
 */
export class MacSectorCipher implements SectorCipher {
  readonly #gmac: GmacKey;
  readonly #xts: XtsKey | undefined;

  /** @param gmac of tags of 12 bytes */
  constructor(gmac: GmacKey, xts: XtsKey | undefined) {
    this.#gmac = gmac;
    this.#xts = xts;
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
    if (this.#xts === undefined) plain.bytes.copy(stored.bytes, storedOffset, plainOffset, plainOffset + length);
    else if (length > 0) this.#xts.encrypt(head.tweak, 0, plain, plainOffset, stored, storedOffset, length);
    this.#feed(head, stored, storedOffset, length);
    this.#gmac.finish(tag, tagOffset);
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
    if (!this.verify(head, stored, storedOffset, length, tag, tagOffset)) return false;
    if (this.#xts === undefined) stored.bytes.copy(to.bytes, toOffset, storedOffset, storedOffset + length);
    else if (length > 0) this.#xts.decrypt(head.tweak, 0, stored, storedOffset, to, toOffset, length);
    return true;
  }

  verify(
    head: SectorHead,
    stored: Region,
    storedOffset: number,
    length: number,
    tag: Region,
    tagOffset: number,
  ): boolean {
    this.#feed(head, stored, storedOffset, length);
    return this.#gmac.verify(tag, tagOffset);
  }

  dispose(): void {
    this.#gmac.dispose();
    this.#xts?.dispose();
  }

  #feed(head: SectorHead, stored: Region, storedOffset: number, length: number): void {
    this.#gmac.begin(head.nonce, 0);
    this.#gmac.update(head.additional, 0, SectorHead.additionalSize);
    if (length > 0) this.#gmac.update(stored, storedOffset, length);
  }
}
