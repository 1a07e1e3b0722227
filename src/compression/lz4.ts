import { Region } from '../base/linux/native.ts';
import { wipe } from '../base/wipe.ts';
import { bindLibrary } from './bind-library.ts';
import type { Codec } from './codec.ts';

/** The acceleration of LZ4 that its authors call the default. */
const ACCELERATION = 1;

/** The functions of liblz4 that are called, as lz4.h (1.9) declares them. */
function bindLZ4() {
  const bound = bindLibrary('lz4', 'LZ4_decompress_safe');
  const [pointer, int] = ['uintptr_t', 'int'];
  return {
    stateSize: bound('LZ4_sizeofState', int, []),
    compress: bound('LZ4_compress_fast_extState', int, [pointer, pointer, pointer, int, int, int]),
    decompress: bound('LZ4_decompress_safe', int, [pointer, pointer, int, int]),
  };
}

/** One block of LZ4. */
export class LZ4 implements Codec {
  readonly #lib = bindLZ4();
  readonly #state = new Region(this.#lib.stateSize());

  compress(from: Region, fromOffset: number, length: number, to: Region, toOffset: number, room: number): number {
    const [source, target] = [from.address + fromOffset, to.address + toOffset];
    return this.#lib.compress(this.#state.address, source, target, length, room, ACCELERATION);
  }

  decompress(from: Region, fromOffset: number, length: number, to: Region, toOffset: number, size: number): boolean {
    return this.#lib.decompress(from.address + fromOffset, to.address + toOffset, length, size) === size;
  }

  wipe(): void {
    wipe(this.#state.bytes);
  }
}
