import type { Extent } from '../../format/manifest.ts';

/** Index of the first extent that ends behind `offset`, or the number of extents. */
export function firstExtentBehind(extents: readonly Extent[], offset: number): number {
  let low = 0;
  let high = extents.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const extent = extents[middle] as Extent;
    if (extent.fileOffset + extent.length > offset) high = middle;
    else low = middle + 1;
  }
  return low;
}

/**
 * The next offset at or behind `offset` at which a file of these extents holds data, or a hole (lseek(2) SEEK_DATA, SEEK_HOLE);
 * undefined when there is none before the end. The end of a file counts as a hole.
 */
export function seekExtent(
  extents: readonly Extent[],
  size: number,
  offset: number,
  whence: 'data' | 'hole',
): number | undefined {
  if (offset >= size) return undefined;
  let at = firstExtentBehind(extents, offset);
  if (whence === 'data') {
    const extent = extents[at];
    return extent === undefined ? undefined : Math.max(offset, extent.fileOffset);
  }
  let end = offset;
  for (let extent = extents[at]; extent !== undefined && extent.fileOffset <= end; extent = extents[++at]) {
    end = extent.fileOffset + extent.length;
  }
  return Math.min(end, size);
}

/** Bytes of a file that are not holes. */
export function dataBytes(extents: readonly Extent[]): number {
  return extents.reduce((sum, extent) => sum + extent.length, 0);
}
