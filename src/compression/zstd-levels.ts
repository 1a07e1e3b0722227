/** Levels of Zstandard that need no more memory than their default windows (zstd --ultra has others). */
export const MIN_ZSTD_LEVEL = 1;
export const MAX_ZSTD_LEVEL = 19;
export const DEFAULT_ZSTD_LEVEL = 3;

export function isZstdLevel(level: number): boolean {
  return Number.isInteger(level) && level >= MIN_ZSTD_LEVEL && level <= MAX_ZSTD_LEVEL;
}
