import type { Region } from '../base/linux/native.ts';
import { wipe } from '../base/wipe.ts';
import type { AeadKey } from '../crypto/primitives.ts';
import { primitives } from '../crypto/select.ts';

/** Bytes of a tag and a nonce, which every encrypted piece but an empty one has. */
export const TAG_SIZE = 16;
export const NONCE_SIZE = 12;
export const TRAILER_SIZE = TAG_SIZE + NONCE_SIZE;

/** Where the parts of an encrypted piece are in a region. */
export interface PiecePlace {
  readonly data: number;
  readonly length: number;
  readonly tag: number;
  readonly nonce: number;
}

/** The key of everything but memory pages: ChaCha20-Poly1305 without additional data. Belongs to one thread. */
export class BlobKey {
  readonly #aead: AeadKey;

  /** @param token 32 bytes, which are not kept */
  constructor(token: Uint8Array) {
    this.#aead = primitives().chacha20Poly1305(token);
  }

  /** Decrypts a piece. Returns false when its tag does not match; `to` then has zeros. */
  open(from: Region, { data, length, tag, nonce }: PiecePlace, to: Region, toOffset: number): boolean {
    this.#aead.beginOpen(from, nonce);
    this.#aead.crypt(from, data, to, toOffset, length);
    if (this.#aead.verify(from, tag)) return true;
    wipe(to.bytes, toOffset, toOffset + length);
    return false;
  }

  dispose(): void {
    this.#aead.dispose();
  }
}

/** Returns the place of a piece whose tag and nonce follow its data. */
export function blobAt(data: number, length: number): PiecePlace {
  return { data, length, tag: data + length, nonce: data + length + TAG_SIZE };
}
