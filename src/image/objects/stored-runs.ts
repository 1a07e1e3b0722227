import type { Region } from '../../base/linux/native.ts';
import { SECTOR_SIZE } from '../../format/geometry.ts';
import { nextData, nextHole } from '../../format/record.ts';
import type { WritableObject } from '../../stores/writable-store.ts';

/** Sealed chunks that follow each other in a file, and perhaps a page before them. */
export interface SealedRun {
  /** Begins with the page, if there is one. */
  readonly region: Region;
  /** Bytes of the page before the chunks: 4096 or 0. */
  readonly lead: number;
  /** For each chunk a map of its sectors that store nothing. */
  readonly empty: Uint16Array;
  readonly count: number;
  readonly sectorsPerChunk: number;
}

/**
 * Writes sealed chunks without the sectors that store nothing, in one piece if there are none between others.
 * @param position of the first byte of the region in the file
 * @throws CkptfsError `io`
 */
export function writeStored(file: WritableObject, run: SealedRun, position: number): void {
  const { region, lead, empty, count, sectorsPerChunk } = run;
  let start = 0;
  let end = lead;
  for (let chunk = 0; chunk < count; chunk++) {
    const map = empty[chunk] as number;
    for (let sector = nextData(map, 0, sectorsPerChunk); sector < sectorsPerChunk; ) {
      const stop = nextHole(map, sector, sectorsPerChunk);
      const first = lead + (chunk * sectorsPerChunk + sector) * SECTOR_SIZE;
      if (first !== end) {
        if (start !== end) file.write(region, start, end - start, position + start);
        start = first;
      }
      end = lead + (chunk * sectorsPerChunk + stop) * SECTOR_SIZE;
      sector = nextData(map, stop, sectorsPerChunk);
    }
  }
  if (start !== end) file.write(region, start, end - start, position + start);
}
