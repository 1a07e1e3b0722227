import type { Compression, Effort } from '../compression/chunk-compressor.ts';
import type { CompressionName } from '../format/compressions.ts';

/** How a new image is to be compressed that takes the place of another one; undefined for: as that one. */
export type CompressionChoice = Compression | 'none' | undefined;

/** Returns how the new image is compressed. @param before how the old one is */
export function chosenCompression(
  choice: CompressionChoice,
  before: CompressionName | undefined,
): CompressionName | undefined {
  if (choice === undefined) return before;
  return choice === 'none' ? undefined : choice.name;
}

/** Returns how hard it is tried, where something else than the default was chosen. */
export function chosenEffort(choice: CompressionChoice): Effort | undefined {
  return choice === 'none' ? undefined : choice;
}
