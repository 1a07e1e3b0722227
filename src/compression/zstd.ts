import { CkptfsError } from '../base/errors.ts';
import { type bind, Region } from '../base/linux/native.ts';
import { addressIn } from '../base/linux/span.ts';
import { wipe } from '../base/wipe.ts';
import { bindLibrary } from './bind-library.ts';
import type { Codec } from './codec.ts';
import { DEFAULT_ZSTD_LEVEL } from './zstd-levels.ts';

/** More bytes than a context takes to compress what is as small as a chunk, at any level. All of it is wiped. */
const MAX_COMPRESSION_SPACE = 4 << 20;

/** The functions of libzstd that are called, as zstd.h (1.4) declares them. A size below zero is an error. */
function bindZstd(bound: typeof bind) {
  const [pointer, size] = ['uintptr_t', 'int64_t'];
  return {
    initCompression: bound('ZSTD_initStaticCCtx', pointer, [pointer, size]),
    compressionSpace: bound('ZSTD_estimateCCtxSize', size, ['int']),
    compress: bound('ZSTD_compressCCtx', size, [pointer, pointer, size, pointer, size, 'int']),
    decompressionSpace: bound('ZSTD_estimateDCtxSize', size, []),
    initDecompression: bound('ZSTD_initStaticDCtx', pointer, [pointer, size]),
    frameSize: bound('ZSTD_findFrameCompressedSize', size, [pointer, size]),
    decompress: bound('ZSTD_decompressDCtx', size, [pointer, pointer, size, pointer, size]),
  };
}

let boundZstd: ReturnType<typeof bindZstd> | undefined;

/** Binds them once. @throws CkptfsError `missing-feature` */
function library(): ReturnType<typeof bindZstd> {
  boundZstd ??= bindLibrary('zstd', bindZstd);
  return boundZstd;
}

interface Context {
  readonly memory: Region;
  readonly pointer: number;
}

/** Zstandard (RFC 8878): one frame. Its contexts are in memory that can be wiped, and are made when they are needed. */
export class Zstd implements Codec {
  readonly #lib = library();
  readonly #level: number;
  #compression: Context | undefined;
  #decompression: Context | undefined;

  /** @throws CkptfsError `missing-feature` */
  constructor(level = DEFAULT_ZSTD_LEVEL) {
    this.#level = level;
  }

  compress(from: Region, fromOffset: number, length: number, to: Region, toOffset: number, room: number): number {
    this.#compression ??= begin(this.#lib.initCompression, this.#compressionSpace());
    const { pointer } = this.#compression;
    const source = addressIn(from, fromOffset, length);
    const target = addressIn(to, toOffset, room);
    return Math.max(0, this.#lib.compress(pointer, target, room, source, length, this.#level));
  }

  decompress(from: Region, fromOffset: number, length: number, to: Region, toOffset: number, size: number): boolean {
    this.#decompression ??= begin(this.#lib.initDecompression, this.#lib.decompressionSpace());
    const { pointer } = this.#decompression;
    const source = addressIn(from, fromOffset, length);
    const target = addressIn(to, toOffset, size);
    // It would go on with a second frame.
    if (this.#lib.frameSize(source, length) !== length) return false;
    return this.#lib.decompress(pointer, target, size, source, length) === size;
  }

  /** What the library asks for is for bytes of any number. */
  #compressionSpace(): number {
    return Math.min(this.#lib.compressionSpace(this.#level), MAX_COMPRESSION_SPACE);
  }

  wipe(): void {
    for (const context of [this.#compression, this.#decompression])
      if (context !== undefined) wipe(context.memory.bytes);
    this.#compression = undefined;
    this.#decompression = undefined;
  }
}

function begin(init: (address: number, size: number) => number, size: number): Context {
  // They need an address that 8 divides, which this memory has.
  const memory = new Region(size);
  const pointer = init(memory.address, size);
  if (pointer === 0) throw new CkptfsError('internal', `Zstandard has no use for ${size} bytes`);
  return { memory, pointer };
}
