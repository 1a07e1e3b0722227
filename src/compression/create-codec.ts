import type { CompressionName } from '../format/compressions.ts';
import type { Codec } from './codec.ts';
import { LZ4 } from './lz4.ts';
import { Zstd } from './zstd.ts';

/**
 * Makes a codec.
 * @param level of Zstandard, 1 to 19; nothing for LZ4, which has none
 * @throws CkptfsError `missing-feature` when this host has no library for it
 */
export function createCodec(name: CompressionName, level?: number): Codec {
  return name === 'zstd' ? new Zstd(level) : new LZ4();
}
