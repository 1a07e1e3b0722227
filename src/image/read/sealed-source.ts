import type { Image } from './image.ts';
import { ImageReader } from './image-reader.ts';
import type { ImageSource } from './image-source.ts';

/** Reads a sealed image as a source. */
export function sealedSource(image: Image): ImageSource {
  return {
    imageId: image.header.imageId.toString('hex'),
    manifest: image.manifest,
    openReader: (cacheSize, counters) => new ImageReader(image, cacheSize, counters),
  };
}
