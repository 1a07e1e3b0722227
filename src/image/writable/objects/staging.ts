import { Region } from '../../../base/linux/native.ts';
import { type Geometry, SECTOR_SIZE } from '../../../format/geometry.ts';
import { nextData, nextHole } from '../../../format/record.ts';
import type { WritableObject } from '../../../stores/writable-store.ts';

/** Bytes of ciphertext that are written at once. */
const SIZE = 1 << 20;

/** Sealed chunks that follow each other in one group of an object and are not written to it yet. */
export class Staging {
  readonly region = new Region(SIZE);
  readonly #geometry: Geometry;
  readonly #holes: Uint16Array;
  #count = 0;

  constructor(geometry: Geometry) {
    this.#geometry = geometry;
    this.#holes = new Uint16Array(SIZE / geometry.chunkSize);
  }

  /** How many chunks there are. */
  get count(): number {
    return this.#count;
  }

  get isFull(): boolean {
    return this.#count === this.#holes.length;
  }

  /** Whether the last sector is a hole, so that nothing of it is written. */
  get endsInHole(): boolean {
    return (
      this.#count > 0 && ((this.#holes[this.#count - 1] as number) >>> (this.#geometry.sectorsPerChunk - 1)) % 2 === 1
    );
  }

  /** Offset in the region at which the next chunk is to be sealed. */
  get nextOffset(): number {
    return this.#count * this.#geometry.chunkSize;
  }

  /** Adds the chunk at {@link nextOffset}. @param holes bit s means that sector s is not written */
  add(holes: number): void {
    this.#holes[this.#count++] = holes;
  }

  clear(): void {
    this.#count = 0;
  }

  /**
   * Writes the chunks without their holes, in one piece if there are none.
   * @param position of the first chunk in the file
   * @throws CkptfsError `io`
   */
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
