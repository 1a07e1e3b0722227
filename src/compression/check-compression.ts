import { CkptfsError } from '../base/errors.ts';
import { type CompressionName, compressionNames, isCompressionName } from '../format/compressions.ts';
import type { Compression } from './chunk-compressor.ts';
import { createCodec } from './create-codec.ts';
import { isZstdLevel, MAX_ZSTD_LEVEL, MIN_ZSTD_LEVEL } from './zstd-levels.ts';

/**
 * Refuses a way to compress that no image has, and one that this host cannot, before anything is made.
 * @throws CkptfsError `bad-argument`, `missing-feature`
 */
export function checkCompression(compression: Compression | undefined): void {
  if (compression === undefined) return;
  const { name, level }: { readonly name: string; readonly level?: number } = compression;
  if (!isCompressionName(name)) {
    throw new CkptfsError('bad-argument', `compression ${name}: must be ${compressionNames.join(' or ')}`);
  }
  if (level !== undefined && !isZstdLevel(level)) {
    throw new CkptfsError('bad-argument', `level ${level}: must be ${MIN_ZSTD_LEVEL} to ${MAX_ZSTD_LEVEL}`);
  }
  checkLibrary(name);
}

/** Returns whether this host can compress and decompress so. */
export function hasLibrary(name: CompressionName): boolean {
  try {
    createCodec(name);
    return true;
  } catch (error) {
    if (error instanceof CkptfsError && error.code === 'missing-feature') return false;
    throw error;
  }
}

/**
 * Refuses an image whose compressed chunks this host cannot read: who mounts it would learn that at the first read.
 * @param name how they are compressed; undefined where none is
 * @throws CkptfsError `missing-feature`
 */
export function checkLibrary(name: CompressionName | undefined): void {
  if (name !== undefined) createCodec(name);
}
