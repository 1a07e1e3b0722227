import { Region } from '../../../base/linux/native.ts';
import { type Geometry, SECTOR_SIZE } from '../../../format/geometry.ts';
import { nextData, nextHole } from '../../../format/record.ts';
import type { WritableObject } from '../../../stores/writable-store.ts';

/** Ciphertext written at once. */
const SIZE = 1 << 20;

/** Sealed chunks that lie behind one another in one group of an object, on their way into it. */
export class Staging {
  readonly region = new Region(SIZE);
  readonly #geometry: Geometry;
  readonly #holes: Uint16Array;
  #count = 0;

  constructor(geometry: Geometry) {
    this.#geometry = geometry;
    this.#holes = new Uint16Array(SIZE / geometry.chunkSize);
  }

  /** Chunks. */
  get count(): number {
    return this.#count;
  }

  get isFull(): boolean {
    return this.#count === this.#holes.length;
  }

  /** Whether nothing is written of the last sector. */
  get endsInHole(): boolean {
    return (
      this.#count > 0 && ((this.#holes[this.#count - 1] as number) >>> (this.#geometry.sectorsPerChunk - 1)) % 2 === 1
    );
  }

  /** Where in the region the next chunk is to be put. */
  get nextOffset(): number {
    return this.#count * this.#geometry.chunkSize;
  }

  /** The next chunk is there. @param holes bit s set: sector s is not to be written */
  add(holes: number): void {
    this.#holes[this.#count++] = holes;
  }

  clear(): void {
    this.#count = 0;
  }

  /** Writes the chunks but for holes, all at once where there are none. @param position of the first in the file @throws CkptfsError `io` */
  write(file: WritableObject, position: number): void {
    const { sectorsPerChunk } = this.#geometry;
    let start = 0;
    let end = 0;
    for (let chunk = 0; chunk < this.#count; chunk++) {
      const holes = this.#holes[chunk] as number;
      for (let sector = nextData(holes, 0, sectorsPerChunk); sector < sectorsPerChunk; ) {
        const stop = nextHole(holes, sector, sectorsPerChunk);
        const first = chunk * sectorsPerChunk + sector;
        if (first !== end) {
          this.#writeSectors(file, position, start, end);
          start = first;
        }
        end = chunk * sectorsPerChunk + stop;
        sector = nextData(holes, stop, sectorsPerChunk);
      }
    }
    this.#writeSectors(file, position, start, end);
  }

  #writeSectors(file: WritableObject, position: number, start: number, end: number): void {
    if (start === end) return;
    const offset = start * SECTOR_SIZE;
    file.write(this.region, offset, (end - start) * SECTOR_SIZE, position + offset);
  }
}
