import type { Extent } from '../../format/manifest.ts';

/**
 * Returns the index of the first extent that ends past `offset`, or the number of extents. Each read searches here, so
 * this is written out: by base/search.ts, whose order is a function, the search took about twice as long.
 */
export function firstExtentPast(extents: readonly Extent[], offset: number): number {
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
 * Returns the next offset at or after `offset` at which a file of these extents has data, or a hole (lseek(2)
 * SEEK_DATA, SEEK_HOLE); undefined if there is none before the end. The end of a file counts as a hole.
 */
export function seekExtent(
  extents: readonly Extent[],
  size: number,
  offset: number,
  whence: 'data' | 'hole',
): number | undefined {
  if (offset >= size) return undefined;
  let at = firstExtentPast(extents, offset);
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

/** Returns the number of bytes that are not in holes. */
export function dataBytes(extents: readonly Extent[]): number {
  return extents.reduce((sum, extent) => sum + extent.length, 0);
}
