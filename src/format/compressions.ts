/** How the compressed chunks of an image are compressed (format.md §4, §6). */
export const compressionNames = ['zstd', 'lz4'] as const;

export type CompressionName = (typeof compressionNames)[number];

export function isCompressionName(name: unknown): name is CompressionName {
  return compressionNames.some((known) => known === name);
}
