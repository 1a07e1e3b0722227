import { constants } from 'node:os';
import { Region } from './native.ts';
import { systemError } from './system-error.ts';

/** Makes a C string: the bytes and a NUL. @throws Error EINVAL when the bytes have a NUL of their own */
export function cString(bytes: Uint8Array | string): Region {
  const source = Buffer.from(bytes as Uint8Array);
  if (source.includes(0)) throw systemError('path', constants.errno.EINVAL);
  return new Region(Buffer.concat([source, Buffer.alloc(1)]));
}

/** Strings as C takes argv and envp: an array of pointers with a null pointer at the end. */
export class StringVector {
  readonly #strings: readonly Region[];
  readonly #pointers: Region;

  constructor(strings: readonly string[]) {
    this.#strings = strings.map((text) => cString(text));
    this.#pointers = new Region(8 * (strings.length + 1));
    for (const [at, { address }] of this.#strings.entries()) {
      this.#pointers.view.setBigUint64(8 * at, BigInt(address), true);
    }
  }

  get address(): number {
    return this.#pointers.address;
  }
}
