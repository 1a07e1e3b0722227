import { hash, randomBytes } from 'node:crypto';
import { CkptfsError } from '../../src/base/errors.ts';
import type { BlockPlace } from '../../src/format/block-table.ts';
import type { RemoteStore } from '../../src/remote/shared/remote-store.ts';

/** A part with packed blocks of random bytes, and the store that has it, which does what it is told. */
export class PackedBlocks implements Pick<RemoteStore, 'location' | 'getRange'> {
  readonly location = 's3://memory/blocks';
  readonly index = { files: [{ name: 'object', size: 0, parts: [{ digest: 'part', size: 0 }] }] };
  readonly blocks: readonly Buffer[];
  /** How often each block was given out. */
  readonly given: number[];
  /** Does something before a range is given out: waits, or fails. */
  before: (start: number) => Promise<void> = async () => undefined;
  /** Alters what is given out. */
  alter: (bytes: Buffer) => Buffer = (bytes) => bytes;
  readonly #places: readonly BlockPlace[];

  /** @param pages of each block */
  constructor(pages: readonly number[]) {
    // Short ones do as well as whole pages, where they are not unpacked.
    this.blocks = pages.map((count) => (count === 0 ? Buffer.alloc(8) : randomBytes(8 + 16 * count)));
    this.given = pages.map(() => 0);
    let offset = 0;
    this.#places = this.blocks.map((packed, block) => {
      const digest = hash('sha256', packed, 'hex').slice(0, 32);
      const shared = { file: 0, part: 0, start: 0, length: 0, pages: pages[block] ?? 0, digest };
      const place = { ...shared, packedSize: packed.length, offset };
      offset += packed.length;
      return place;
    });
  }

  readonly placeOf = (block: number): BlockPlace => {
    const place = this.#places[block];
    if (place === undefined) throw new RangeError(`block ${block}`);
    return place;
  };

  pagesOf(block: number): number {
    return this.placeOf(block).pages;
  }

  /** Gives out a range block by block. */
  async getRange(_part: unknown, start: number, end: number, sink: (chunk: Buffer) => void): Promise<void> {
    await this.before(start);
    for (const [block, { offset, packedSize }] of this.#places.entries()) {
      if (offset < start || offset >= end) continue;
      if (offset + packedSize > end) throw new RangeError('half of a block');
      this.given[block] = (this.given[block] ?? 0) + 1;
      sink(this.alter(Buffer.from(this.blocks[block] ?? [])));
      await new Promise(setImmediate);
    }
  }
}

export function goneAway(): CkptfsError {
  return new CkptfsError('store-unavailable', 'no answer', { data: { reason: 'unreachable' } });
}
