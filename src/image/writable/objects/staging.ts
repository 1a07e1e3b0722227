import { Region } from '../../../base/linux/native.ts';
import type { Geometry } from '../../../format/geometry.ts';
import type { WritableObject } from '../../../stores/writable-store.ts';
import { writeStored } from '../../objects/stored-runs.ts';

/** Bytes of ciphertext that are written at once. */
const SIZE = 1 << 20;

/** Sealed chunks that follow each other in one group of an object and are not written to it yet. */
export class Staging {
  readonly region = new Region(SIZE);
  readonly #geometry: Geometry;
  /** For each chunk a map of its sectors that store nothing. */
  readonly #empty: Uint16Array;
  #count = 0;

  constructor(geometry: Geometry) {
    this.#geometry = geometry;
    this.#empty = new Uint16Array(SIZE / geometry.chunkSize);
  }

  /** How many chunks there are. */
  get count(): number {
    return this.#count;
  }

  get isFull(): boolean {
    return this.#count === this.#empty.length;
  }

  /** Whether nothing is written of the last sector. */
  get endsEmpty(): boolean {
    return (
      this.#count > 0 && ((this.#empty[this.#count - 1] as number) >>> (this.#geometry.sectorsPerChunk - 1)) % 2 === 1
    );
  }

  /** Offset in the region at which the next chunk is to be sealed. */
  get nextOffset(): number {
    return this.#count * this.#geometry.chunkSize;
  }

  /** Adds the chunk at {@link nextOffset}. @param empty bit s means that sector s stores nothing, and is not written */
  add(empty: number): void {
    this.#empty[this.#count++] = empty;
  }

  clear(): void {
    this.#count = 0;
  }

  /** Writes the chunks. @param position of the first one in the file @throws CkptfsError `io` */
  write(file: WritableObject, position: number): void {
    const { region } = this;
    const { sectorsPerChunk } = this.#geometry;
    writeStored(file, { region, lead: 0, empty: this.#empty, count: this.#count, sectorsPerChunk }, position);
  }
}
