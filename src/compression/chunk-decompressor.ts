import { CkptfsError } from '../base/errors.ts';
import { Region } from '../base/linux/native.ts';
import { wipe } from '../base/wipe.ts';
import { type Geometry, SECTOR_SIZE } from '../format/geometry.ts';
import type { Codec } from './codec.ts';
import { LENGTH_SIZE, spreadContent } from './content.ts';
import { createCodec } from './create-codec.ts';

/** Decompresses chunks of one geometry (format.md §6). It belongs to one thread. */
export class ChunkDecompressor {
  /** Where the stored sectors of a chunk are put, authenticated and decrypted. */
  readonly content: Region;
  readonly #geometry: Geometry;
  readonly #codec: Codec;

  /** @throws CkptfsError `missing-feature` */
  constructor(geometry: Geometry) {
    const { compression } = geometry;
    if (compression === undefined) throw new CkptfsError('internal', 'no chunk of the image is compressed');
    this.#geometry = geometry;
    this.#codec = createCodec(compression);
    this.content = new Region(geometry.chunkSize);
  }

  /**
   * Decompresses the chunk that is in {@link content}.
   * @param sectors that it takes there
   * @param holes bit s means that sector s of the chunk is a hole, which becomes zeros
   * @param to gets the whole chunk
   * @returns false when it is not what a writer stores; nothing of `to` may then be used
   */
  decompress(sectors: number, holes: number, to: Region, toOffset: number): boolean {
    const { content } = this;
    const length = content.view.getUint32(0, true);
    const end = LENGTH_SIZE + length;
    if (length === 0 || Math.ceil(end / SECTOR_SIZE) !== sectors) return false;
    for (let at = end; at < sectors * SECTOR_SIZE; at++) if (content.bytes[at] !== 0) return false;
    const size = this.#geometry.dataSectors(holes) * SECTOR_SIZE;
    if (!this.#codec.decompress(content, LENGTH_SIZE, length, to, toOffset, size)) return false;
    if (holes !== 0) spreadContent(to, toOffset, holes, this.#geometry);
    return true;
  }

  /** Wipes all it keeps of the chunks. */
  wipe(): void {
    wipe(this.content.bytes);
    this.#codec.wipe();
  }
}
