import { type bind, Region } from '../base/linux/native.ts';
import { addressIn } from '../base/linux/span.ts';
import { wipe } from '../base/wipe.ts';
import { bindLibrary } from './bind-library.ts';
import type { Codec } from './codec.ts';

/** The acceleration of LZ4 that its authors call the default. */
const ACCELERATION = 1;

/** The functions of liblz4 that are called, as lz4.h (1.9) declares them. */
function bindLZ4(bound: typeof bind) {
  const [pointer, int] = ['uintptr_t', 'int'];
  return {
    stateSize: bound('LZ4_sizeofState', int, []),
    compress: bound('LZ4_compress_fast_extState', int, [pointer, pointer, pointer, int, int, int]),
    decompress: bound('LZ4_decompress_safe', int, [pointer, pointer, int, int]),
  };
}

let boundLZ4: ReturnType<typeof bindLZ4> | undefined;

/** Binds them once. @throws CkptfsError `missing-feature` */
function library(): ReturnType<typeof bindLZ4> {
  boundLZ4 ??= bindLibrary('lz4', bindLZ4);
  return boundLZ4;
}

/** One block of LZ4. */
export class LZ4 implements Codec {
  readonly #lib = library();
  readonly #state = new Region(this.#lib.stateSize());

  compress(from: Region, fromOffset: number, length: number, to: Region, toOffset: number, room: number): number {
    const source = addressIn(from, fromOffset, length);
    const target = addressIn(to, toOffset, room);
    return this.#lib.compress(this.#state.address, source, target, length, room, ACCELERATION);
  }

  decompress(from: Region, fromOffset: number, length: number, to: Region, toOffset: number, size: number): boolean {
    const source = addressIn(from, fromOffset, length);
    return this.#lib.decompress(source, addressIn(to, toOffset, size), length, size) === size;
  }

  wipe(): void {
    wipe(this.#state.bytes);
  }
}
