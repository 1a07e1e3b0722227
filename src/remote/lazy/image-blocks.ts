import { encodeAccessProfile, runsOf } from '../../format/access-profile.ts';
import type { BlockTable } from '../../format/block-table.ts';
import { eachOf } from '../shared/each-of.ts';
import { BlockFetcher, type BlockSource } from './block-fetcher.ts';
import { Lanes } from './lanes.ts';
import { blocksIn, planRuns } from './plan-runs.ts';
import type { FetcherStatus } from './protocol.ts';
import { type BlockRange, ReadAhead } from './read-ahead.ts';
import { TouchedBlocks } from './touched-blocks.ts';

/** Requests at a time for what readers come to next, and for what is fetched in the background. */
const AHEAD_REQUESTS = 4;
const PREFETCH_REQUESTS = 4;
export const BACKGROUND_REQUESTS = AHEAD_REQUESTS + PREFETCH_REQUESTS;
/** Ranges that wait to be fetched ahead; readers have long passed what waits longer. */
const MAX_WAITING = 32;
/** How often it is noted of a block that it is used. */
const USE_SECONDS = 60;

/** What the blocks of a mounted image are fetched for. */
export interface MountedImage extends BlockSource {
  readonly table: Pick<BlockTable, 'count' | 'pagesOf' | 'placeOf'>;
  readonly imageId: string;
  /** How many blocks one reader may have fetched ahead. */
  readonly room: number;
}

/** The blocks of a mounted image, as its readers ask for them. */
export class ImageBlocks {
  readonly #image: MountedImage;
  readonly #fetcher: BlockFetcher;
  readonly #ahead: ReadAhead;
  readonly #lanes = new Lanes(AHEAD_REQUESTS, MAX_WAITING);
  readonly #touched: TouchedBlocks;
  /** By block: when its use was noted last, in seconds since 1970. */
  readonly #usedAt: Uint32Array;

  constructor(image: MountedImage) {
    const { table } = image;
    this.#image = image;
    this.#fetcher = new BlockFetcher(image);
    this.#ahead = new ReadAhead(table.count, (block) => table.pagesOf(block) > 0, image.room);
    this.#touched = new TouchedBlocks(table.count);
    this.#usedAt = new Uint32Array(table.count);
  }

  /** How many blocks the image has. */
  get count(): number {
    return this.#image.table.count;
  }

  /**
   * Returns a packed block that a reader waits for.
   * @throws CkptfsError `store-unavailable`, `damaged`, `interrupted`
   */
  want(block: number): Promise<Buffer> {
    this.#image.counters.wantedBlocks++;
    const following = this.#note(block);
    const packed = this.#fetcher.want(block, following);
    // What did not come with the same request is fetched by others.
    if (following !== undefined) this.#fetchAhead(following);
    return packed;
  }

  /** Hears that a reader found a block in the cache. */
  touched(block: number): void {
    const following = this.#note(block);
    if (following !== undefined) this.#fetchAhead(following);
    const now = Math.floor(Date.now() / 1000);
    if (now - (this.#usedAt[block] ?? now) < USE_SECONDS) return;
    this.#usedAt[block] = now;
    this.#image.cache.touch(this.#image.table.placeOf(block).digest);
  }

  /** Fetches blocks in the background, in their order, and goes on after what cannot be had. */
  async prefetch(blocks: Iterable<number>): Promise<void> {
    const runs = planRuns(blocks, this.#image.table);
    await eachOf(runs, PREFETCH_REQUESTS, async (run) => {
      // So that readers are heard between blocks that are there.
      await new Promise(setImmediate);
      if (this.#image.signal.aborted) return;
      await this.#fetcher.fetchAhead(run).catch(() => undefined);
    });
  }

  status(): FetcherStatus {
    const { remote, counters } = this.#image;
    return { url: remote.location, ...counters, blocks: this.count, touchedBlocks: this.#touched.count };
  }

  /** Returns the access profile of what was read so far, encoded. */
  profile(): Buffer {
    const { imageId, indexDigest } = this.#image;
    return encodeAccessProfile({ imageId, index: indexDigest, blocks: runsOf(this.#touched.inOrder()) });
  }

  /** @returns what to fetch ahead */
  #note(block: number): BlockRange | undefined {
    if (this.#image.table.pagesOf(block) === 0) return undefined;
    this.#touched.add(block);
    return this.#ahead.read(block);
  }

  #fetchAhead(range: BlockRange): void {
    this.#lanes.add(async () => {
      const runs = planRuns(blocksIn(range), this.#image.table);
      for (const run of runs) await this.#fetcher.fetchAhead(run);
    });
  }
}
