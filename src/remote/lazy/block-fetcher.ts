import { Deadline } from '../../base/deadline.ts';
import { CkptfsError } from '../../base/errors.ts';
import { type Settleable, settleable } from '../../base/settleable.ts';
import type { BlockTable } from '../../format/block-table.ts';
import type { RemoteIndex } from '../../format/remote-index.ts';
import { pause } from '../../keys/sources/pause.ts';
import { corrupt } from '../shared/faults.ts';
import type { RemoteStore } from '../shared/remote-store.ts';
import type { BlockCache } from './block-cache.ts';
import type { CacheDirectory } from './cache-directory.ts';
import { blockLock } from './cache-layout.ts';
import type { FetchCounters } from './fetch-counters.ts';
import { fetchRun } from './fetch-run.ts';
import { Outage } from './outage.ts';
import { blocksIn, planRuns, type Run, runOf, type StoredBlock } from './plan-runs.ts';
import type { BlockRange } from './read-ahead.ts';

/** When it is looked first whether another process has fetched a block; then after ever longer times, up to these. */
const FIRST_LOOK_MILLISECONDS = 1;
const LOOK_MILLISECONDS = 10;
/** For how long no other process is waited for once one took too long: it may be stopped, with many blocks locked. */
const IMPATIENT_MILLISECONDS = 60_000;
/** A block of no pages, which no store is asked for. */
const EMPTY_BLOCK = Buffer.alloc(8);

const NO_BLOCKS: BlockRange = { first: 0, end: 0 };

/** Where the blocks of one image come from and go to. */
export interface BlockSource {
  readonly remote: Pick<RemoteStore, 'location' | 'getRange'>;
  readonly index: Pick<RemoteIndex, 'files'>;
  /** The SHA-256 of the index, 64 hexadecimal digits. */
  readonly indexDigest: string;
  readonly table: Pick<BlockTable, 'pagesOf' | 'placeOf'>;
  readonly cache: BlockCache;
  /** One byte for each block of this image: who has it locked fetches the block. */
  readonly locks: Pick<CacheDirectory, 'lock' | 'unlock'>;
  readonly counters: FetchCounters;
  readonly signal: AbortSignal;
  /** How long another process may take for a block before it is fetched here as well. */
  readonly patienceMilliseconds: number;
}

/** A block that this process fetches, or waits for. */
interface ClaimedBlock extends StoredBlock {
  readonly coming: Settleable<Buffer>;
}

/** Fetches blocks into the cache, each one once at a time: here by what is on its way, between processes by locks. */
export class BlockFetcher {
  readonly #source: BlockSource;
  /** By digest. */
  readonly #onTheirWay = new Map<string, Settleable<Buffer>>();
  readonly #outage = new Outage();
  #impatient = Deadline.after(0);

  constructor(source: BlockSource) {
    this.#source = source;
  }

  /**
   * Returns a packed block that a reader waits for: from the cache, from a request that is on its way, or by one of its
   * own, which is begun before this returns unless another process fetches the block.
   * @param following the blocks after it that may come with the same request
   * @throws CkptfsError `store-unavailable`, `damaged`, `interrupted`
   */
  async want(block: number, following: BlockRange = NO_BLOCKS): Promise<Buffer> {
    const wanted = this.#placed(block);
    if (wanted.pages === 0) return EMPTY_BLOCK;
    const coming = this.#onTheirWay.get(wanted.digest);
    if (coming === undefined) return this.#getWanted(wanted, following);
    try {
      return await coming.promise;
    } catch {
      // It may have been begun long ago, or for the sake of other blocks: this reader gets an attempt of its own.
      return this.#onTheirWay.get(wanted.digest)?.promise ?? this.#getWanted(wanted, NO_BLOCKS);
    }
  }

  /**
   * Fetches what is not there of a run that may be read later. Leaves out what another process fetches.
   * @throws CkptfsError `store-unavailable`, `damaged`, `interrupted`
   */
  async fetchAhead({ blocks }: Run): Promise<void> {
    for (let left: readonly StoredBlock[] = blocks; left.length > 0 && this.#outage.current === undefined; ) {
      const [claimed, rest] = this.#claimSome(left);
      if (claimed.length > 0) await this.#get(claimed);
      // The first one of the rest could not be claimed.
      left = rest.slice(1);
    }
  }

  #getWanted(wanted: StoredBlock, following: BlockRange): Promise<Buffer> {
    const claimed = this.#expect(wanted);
    const found = this.#findOrLock(wanted);
    if (found === undefined) void this.#waitForOther(claimed, following);
    else this.#goOn(claimed, following, found);
    return claimed.coming.promise;
  }

  /** Waits for the process that fetches a block, but not for ever: it may have been stopped. */
  async #waitForOther(wanted: ClaimedBlock, following: BlockRange): Promise<void> {
    const { patienceMilliseconds, signal } = this.#source;
    const deadline = Deadline.after(this.#impatient.hasPassed ? patienceMilliseconds : 0);
    try {
      let found: Buffer | 'locked' | undefined;
      for (let wait = FIRST_LOOK_MILLISECONDS; found === undefined && !deadline.hasPassed; wait *= 2) {
        await pause(Math.min(wait, LOOK_MILLISECONDS), signal);
        found = this.#findOrLock(wanted);
      }
      if (found === undefined) this.#impatient = Deadline.after(IMPATIENT_MILLISECONDS);
      this.#goOn(wanted, following, found ?? 'locked');
    } catch (cause) {
      this.#failed(wanted, new CkptfsError('interrupted', 'interrupted', { cause }));
    }
  }

  #goOn(wanted: ClaimedBlock, following: BlockRange, found: Buffer | 'locked'): void {
    if (found !== 'locked') {
      this.#source.counters.cacheHits++;
      this.#arrived(wanted, found);
      return;
    }
    const outage = this.#outage.current;
    if (outage !== undefined) {
      this.#failed(wanted, outage);
      return;
    }
    const { block } = wanted;
    const [run] = planRuns(blocksIn({ first: block, end: block + 1 }, following), this.#source.table);
    const [more] = this.#claimSome(run?.blocks.slice(1) ?? []);
    // The one who wants the block hears of it as soon as it is there.
    this.#outage.noting(() => this.#get([wanted, ...more])).catch(() => undefined);
  }

  /** Returns a block that is in the cache; whether it is to be fetched here; undefined while another process has it. */
  #findOrLock(block: StoredBlock): Buffer | 'locked' | undefined {
    const { cache, locks } = this.#source;
    const isLocked = locks.lock(this.#lockOf(block));
    // After the lock: who had it before may just have ended.
    return cache.read(block) ?? (isLocked ? 'locked' : undefined);
  }

  /** Claims blocks, to be fetched here, up to the first one that is there, on its way, or of another process. */
  #claimSome(blocks: readonly StoredBlock[]): [claimed: ClaimedBlock[], rest: readonly StoredBlock[]] {
    const claimed: ClaimedBlock[] = [];
    for (const block of blocks) {
      if (!this.#mayClaim(block)) break;
      claimed.push(this.#expect(block));
    }
    return [claimed, blocks.slice(claimed.length)];
  }

  #mayClaim(block: StoredBlock): boolean {
    const { cache, locks } = this.#source;
    const byte = this.#lockOf(block);
    if (this.#onTheirWay.has(block.digest) || !locks.lock(byte)) return false;
    const isThere = cache.has(block);
    if (isThere) locks.unlock(byte);
    return !isThere;
  }

  /** Fetches claimed blocks of one run. All are settled when it returns. @throws CkptfsError `store-unavailable` */
  async #get(claimed: readonly ClaimedBlock[]): Promise<void> {
    const { remote, index, counters } = this.#source;
    const run = runOf(claimed);
    const part = index.files[run.file]?.parts[run.part];
    try {
      if (part === undefined) throw new CkptfsError('internal', `there is no part ${run.part} of file ${run.file}`);
      counters.requests++;
      let arrived = 0;
      await fetchRun(remote, part, run, (packed) => {
        const block = claimed[arrived++];
        if (block === undefined) return;
        if (packed === undefined) this.#failed(block, this.#corrupt(block));
        else this.#fetched(block, packed);
      });
      for (const block of claimed.slice(arrived)) this.#failed(block, this.#corrupt(block));
    } catch (error) {
      counters.failures++;
      for (const block of claimed) this.#failed(block, error);
      throw error;
    }
  }

  #corrupt({ block }: StoredBlock): CkptfsError {
    return corrupt(this.#source.remote.location, `block ${block} has other bytes than the table of blocks says`);
  }

  #fetched(block: ClaimedBlock, packed: Buffer): void {
    const { cache, counters } = this.#source;
    counters.fetchedBlocks++;
    counters.fetchedBytes += packed.length;
    cache.write(block.digest, packed);
    this.#arrived(block, packed);
  }

  #expect(block: StoredBlock): ClaimedBlock {
    const coming = settleable<Buffer>();
    // Most are awaited by no reader.
    coming.promise.catch(() => undefined);
    this.#onTheirWay.set(block.digest, coming);
    return { ...block, coming };
  }

  #arrived(block: ClaimedBlock, packed: Buffer): void {
    this.#release(block);
    block.coming.resolve(packed);
  }

  /** Does nothing for a block that arrived or failed before. */
  #failed(block: ClaimedBlock, error: unknown): void {
    this.#release(block);
    block.coming.reject(error instanceof Error ? error : new Error(String(error)));
  }

  /** Lets others fetch a block, unless that was done already and one does. */
  #release(block: ClaimedBlock): void {
    const { digest, coming } = block;
    if (this.#onTheirWay.get(digest) !== coming) return;
    this.#onTheirWay.delete(digest);
    this.#source.locks.unlock(this.#lockOf(block));
  }

  #lockOf({ digest }: StoredBlock): number {
    const { remote, indexDigest } = this.#source;
    return blockLock(`${remote.location} ${indexDigest}`, digest);
  }

  #placed(block: number): StoredBlock {
    return { block, ...this.#source.table.placeOf(block) };
  }
}
