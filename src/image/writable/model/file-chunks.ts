import { type Geometry, SECTOR_SIZE } from '../../../format/geometry.ts';
import type { Extent } from '../../../format/manifest.ts';
import { nextData, nextHole } from '../../../format/record.ts';
import { firstExtentPast } from '../../read/extents.ts';
import { ChunkMap } from './chunk-map.ts';
import type { LiveFile } from './live-inode.ts';
import type { ObjectTable } from './object-table.ts';

/**
 * Changes where the contents of files are stored, and keeps their maps, extents and data bytes and the uses of places
 * in step.
 */
export class FileChunks {
  readonly #geometry: Geometry;
  readonly #objects: ObjectTable;

  constructor(geometry: Geometry, objects: ObjectTable) {
    this.#geometry = geometry;
    this.#objects = objects;
  }

  /** Adds an extent after those that a file has. */
  append(file: LiveFile, extent: Extent): void {
    file.base.push(extent);
    file.dataBytes += sectorBytes(extent);
    const { chunkSize } = this.#geometry;
    const last = Math.floor((extent.objectOffset + extent.length - 1) / chunkSize);
    for (let chunk = Math.floor(extent.objectOffset / chunkSize); chunk <= last; chunk++) {
      this.#objects.use(extent.object, chunk);
    }
  }

  /** Gives a file chunk that has no place one. */
  place(file: LiveFile, chunk: number, object: number, objectChunk: number, holes: number): void {
    file.map ??= new ChunkMap();
    file.map.set(chunk, object, objectChunk, holes);
    file.dataBytes += this.dataBytes(holes);
    this.#objects.use(object, objectChunk);
  }

  /** Removes what is stored at the file chunks from `first` to before `end`. */
  clear(file: LiveFile, first: number, end: number): void {
    const { map } = file;
    map?.clear(first, end, () => {
      file.dataBytes -= this.dataBytes(map.holes);
      this.#objects.unuse(map.object, map.objectChunk);
    });
    this.#cutBase(file, first * this.#geometry.chunkSize, end * this.#geometry.chunkSize);
  }

  /** Removes what extents hold after the end of a file. */
  trim(file: LiveFile): void {
    this.#cutBase(file, file.size, Number.POSITIVE_INFINITY);
  }

  /** Returns whether anything is stored at a file chunk. */
  holds(file: LiveFile, chunk: number): boolean {
    if (file.map?.find(chunk) === true) return true;
    const { chunkSize } = this.#geometry;
    const extent = file.base[firstExtentPast(file.base, chunk * chunkSize)];
    return extent !== undefined && extent.fileOffset < (chunk + 1) * chunkSize;
  }

  /** Returns which sectors of what is stored at a file chunk are holes: bit s for sector s. */
  holes(file: LiveFile, chunk: number): number {
    if (file.map?.find(chunk) === true) return file.map.holes;
    const start = chunk * this.#geometry.chunkSize;
    const end = start + this.#geometry.chunkSize;
    let holes = this.#geometry.holeMask;
    for (let index = firstExtentPast(file.base, start); index < file.base.length; index++) {
      const { fileOffset, length } = file.base[index] as Extent;
      if (fileOffset >= end) break;
      const first = Math.floor((Math.max(start, fileOffset) - start) / SECTOR_SIZE);
      const last = Math.floor((Math.min(end, fileOffset + length) - 1 - start) / SECTOR_SIZE);
      for (let sector = first; sector <= last; sector++) holes &= ~(1 << sector);
    }
    return holes;
  }

  /** Returns how many bytes are in the sectors of a chunk that are not holes. */
  dataBytes(holes: number): number {
    let sectors = this.#geometry.sectorsPerChunk;
    for (let rest = holes; rest !== 0; rest &= rest - 1) sectors--;
    return sectors * SECTOR_SIZE;
  }

  /**
   * Yields the stored contents of a file as a manifest has them: whole sectors, but for the last, in ascending order,
   * with neighbours joined. `object` is an index of the table. What dirty chunks hide is among them.
   */
  *extents(file: LiveFile): Generator<Extent> {
    let joined: { fileOffset: number; object: number; objectOffset: number; length: number } | undefined;
    for (const piece of this.#pieces(file)) {
      if (
        joined !== undefined &&
        joined.object === piece.object &&
        joined.fileOffset + joined.length === piece.fileOffset &&
        joined.objectOffset + joined.length === piece.objectOffset
      ) {
        joined.length += piece.length;
        continue;
      }
      if (joined !== undefined) yield joined;
      joined = { ...piece };
    }
    if (joined !== undefined) yield joined;
  }

  *#pieces(file: LiveFile): Generator<Extent> {
    const { base, map } = file;
    const { chunkSize, sectorsPerChunk } = this.#geometry;
    let next = 0;
    for (const chunk of map?.chunks() ?? []) {
      const start = chunk * chunkSize;
      for (; next < base.length && (base[next] as Extent).fileOffset < start; next++) yield base[next] as Extent;
      const { object, objectChunk, holes } = map as ChunkMap;
      for (let sector = nextData(holes, 0, sectorsPerChunk); sector < sectorsPerChunk; ) {
        const stop = nextHole(holes, sector, sectorsPerChunk);
        const inChunk = sector * SECTOR_SIZE;
        const fileOffset = start + inChunk;
        const length = Math.min(file.size, start + stop * SECTOR_SIZE) - fileOffset;
        if (length > 0) yield { fileOffset, object, objectOffset: objectChunk * chunkSize + inChunk, length };
        sector = nextData(holes, stop, sectorsPerChunk);
      }
    }
    for (; next < base.length; next++) yield base[next] as Extent;
  }

  /** Removes the file bytes from `start` to before `end` from the extents of a file. */
  #cutBase(file: LiveFile, start: number, end: number): void {
    const { base } = file;
    const first = firstExtentPast(base, start);
    const kept: Extent[] = [];
    let next = first;
    for (; next < base.length; next++) {
      const extent = base[next] as Extent;
      if (extent.fileOffset >= end) break;
      const from = Math.max(start, extent.fileOffset);
      const to = Math.min(end, extent.fileOffset + extent.length);
      const before = part(extent, extent.fileOffset, from);
      const after = part(extent, to, extent.fileOffset + extent.length);
      if (before !== undefined) kept.push(before);
      if (after !== undefined) kept.push(after);
      this.#unuseCut(part(extent, from, to) as Extent, before, after);
      file.dataBytes -= sectorBytes(extent) - sectorBytes(before) - sectorBytes(after);
    }
    if (next > first) base.splice(first, next - first, ...kept);
  }

  /**
   * Ends the uses of the places that a part was cut out of. The rest of its extent may still use the first or the last
   * of them, but not one from both sides, since it is whole file chunks that are cut out of the middle of an extent.
   */
  #unuseCut({ object, objectOffset, length }: Extent, before: Extent | undefined, after: Extent | undefined): void {
    const { chunkSize } = this.#geometry;
    const first = Math.floor(objectOffset / chunkSize);
    const last = Math.floor((objectOffset + length - 1) / chunkSize);
    for (let chunk = first; chunk <= last; chunk++) {
      const heldBefore = before !== undefined && chunk === first && objectOffset % chunkSize !== 0;
      const heldAfter = after !== undefined && chunk === last && (objectOffset + length) % chunkSize !== 0;
      if (!heldBefore && !heldAfter) this.#objects.unuse(object, chunk);
    }
  }
}

/** Returns the bytes of the sectors of a file that an extent touches. */
function sectorBytes(extent: Extent | undefined): number {
  if (extent === undefined) return 0;
  const end = Math.ceil((extent.fileOffset + extent.length) / SECTOR_SIZE);
  return (end - Math.floor(extent.fileOffset / SECTOR_SIZE)) * SECTOR_SIZE;
}

/** Returns the part of an extent between two file offsets, or undefined when it is empty. */
function part({ fileOffset, object, objectOffset }: Extent, from: number, to: number): Extent | undefined {
  if (from >= to) return undefined;
  return { fileOffset: from, object, objectOffset: objectOffset + from - fileOffset, length: to - from };
}
