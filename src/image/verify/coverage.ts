import type { Geometry } from '../../format/geometry.ts';
import type { Manifest } from '../../format/manifest.ts';

/** Says which chunks have bytes of files. The others are dead: no reader reads them (format.md §6). */
export class Coverage {
  /** A bit for each chunk of each object. The lowest bit of a byte is the first. */
  readonly #bits: readonly Uint8Array[];
  /** A multiple of 8 chunks is in a group. */
  readonly #bytesPerGroup: number;

  constructor({ objects, inodes }: Pick<Manifest, 'objects' | 'inodes'>, geometry: Geometry) {
    const { chunkSize } = geometry;
    this.#bytesPerGroup = geometry.chunksPerGroup / 8;
    this.#bits = objects.map(({ chunks }) => new Uint8Array(geometry.groupsFor(chunks) * this.#bytesPerGroup));
    for (const inode of inodes) {
      if (inode.type !== 'file') continue;
      for (const { object, objectOffset, length } of inode.extents) {
        const bits = this.#bits[object];
        if (bits === undefined) continue;
        const last = Math.floor((objectOffset + length - 1) / chunkSize);
        for (let chunk = Math.floor(objectOffset / chunkSize); chunk <= last; chunk++) {
          const at = Math.floor(chunk / 8);
          bits[at] = (bits[at] as number) | (1 << (chunk % 8));
        }
      }
    }
  }

  /** Returns a view of the bits of one group: bit i % 8 of byte i / 8 is that of its i-th chunk. */
  ofGroup(object: number, group: number): Uint8Array {
    const start = group * this.#bytesPerGroup;
    return this.#bits[object]?.subarray(start, start + this.#bytesPerGroup) ?? new Uint8Array();
  }

  has(object: number, chunk: number): boolean {
    return ((this.#bits[object]?.[Math.floor(chunk / 8)] ?? 0) & (1 << (chunk % 8))) !== 0;
  }

  /** Returns the number of covered chunks of all objects. */
  count(): number {
    return this.#bits.reduce((sum, bits) => sum + countBits(bits), 0);
  }
}

export function countBits(bits: Uint8Array): number {
  let count = 0;
  for (const byte of bits) for (let rest = byte; rest !== 0; rest &= rest - 1) count++;
  return count;
}
