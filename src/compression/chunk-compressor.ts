import { Region } from '../base/linux/native.ts';
import { wipe } from '../base/wipe.ts';
import type { CompressionName } from '../format/compressions.ts';
import { type Geometry, SECTOR_SIZE } from '../format/geometry.ts';
import type { Codec } from './codec.ts';
import { gatherContent, LENGTH_SIZE } from './content.ts';
import { createCodec } from './create-codec.ts';

/** How hard it is tried to compress. */
export interface Effort {
  /** That of Zstandard, 1 to 19; by default 3. */
  readonly level?: number;
  /** Try fewer and fewer chunks as long as they do not shrink. */
  readonly isAdaptive?: boolean;
}

/** How the chunks of a new image are compressed. */
export interface Compression extends Effort {
  readonly name: CompressionName;
}

/** As many chunks are left out at most between two that are tried. */
const MAX_LEFT_OUT = 63;

/** Compresses chunks of one geometry (format.md §6). It belongs to one thread. */
export class ChunkCompressor {
  /** What is stored instead of the chunk that was compressed last, from the beginning on. */
  readonly content: Region;
  readonly #geometry: Geometry;
  readonly #codec: Codec;
  readonly #isAdaptive: boolean;
  /** The sectors of a chunk with holes before others, without the holes. */
  readonly #gathered: Region;
  /** How many chunks are not tried, and how many are not after the next one that does not shrink. */
  #leaveOut = 0;
  #nextLeaveOut = 1;

  /** @throws CkptfsError `missing-feature` */
  constructor(name: CompressionName, geometry: Geometry, { level, isAdaptive = false }: Effort = {}) {
    this.#geometry = geometry;
    this.#codec = createCodec(name, level);
    this.#isAdaptive = isAdaptive;
    this.content = new Region(geometry.chunkSize);
    this.#gathered = new Region(geometry.chunkSize);
  }

  /**
   * Compresses a chunk into {@link content}.
   * @param holes bit s means that sector s is a hole, which is not read
   * @returns the sectors that it takes, fewer than hold data; 0 when it saves none, and is to be stored as it is
   */
  compress(plain: Region, offset: number, holes: number): number {
    const data = this.#geometry.dataSectors(holes);
    // One sector cannot become less, which says nothing of what follows.
    if (data <= 1) return 0;
    if (this.#leaveOut > 0) {
      this.#leaveOut--;
      return 0;
    }
    const sectors = this.#compress(plain, offset, holes, data);
    if (this.#isAdaptive) {
      this.#leaveOut = sectors > 0 ? 0 : this.#nextLeaveOut;
      this.#nextLeaveOut = sectors > 0 ? 1 : Math.min(2 * this.#nextLeaveOut + 1, MAX_LEFT_OUT);
    }
    return sectors;
  }

  /** Wipes all it keeps of the chunks. */
  wipe(): void {
    for (const { bytes } of [this.content, this.#gathered]) wipe(bytes);
    this.#codec.wipe();
  }

  #compress(plain: Region, offset: number, holes: number, data: number): number {
    const room = (data - 1) * SECTOR_SIZE - LENGTH_SIZE;
    const isGathered = gatherContent(plain, offset, holes, this.#gathered, this.#geometry);
    const from = isGathered ? this.#gathered : plain;
    const start = isGathered ? 0 : offset;
    const length = this.#codec.compress(from, start, data * SECTOR_SIZE, this.content, LENGTH_SIZE, room);
    if (length === 0) return 0;
    const end = LENGTH_SIZE + length;
    const sectors = Math.ceil(end / SECTOR_SIZE);
    this.content.view.setUint32(0, length, true);
    this.content.bytes.fill(0, end, sectors * SECTOR_SIZE); // not secret: after the stream
    return sectors;
  }
}
