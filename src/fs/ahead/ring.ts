import { Blocks, State } from './blocks.ts';
import { Files } from './files.ts';
import { BLOCK_SIZE, BLOCKS, BLOCKS_PER_GROUP, FILES, GROUPS, STREAMS, WORD_COUNT, Word } from './layout.ts';
import { SharedLock } from './shared-lock.ts';
import { Streams } from './streams.ts';

/** The most blocks that one read may touch: one of 1 MiB at any offset touches five. */
export const MAX_BLOCKS_PER_READ = 16;
/** The smallest read of a file that begins a stream at once. A smaller one does so if it continues another. */
const MIN_FIRST_READ = 1 << 18;
/** A close that is not noted would keep its file's row for ever. */
const CLOSING_TRIES = 1000;
/** Blocks that may wait for being overwritten, while there are streams, before they are wiped. */
const MAX_SPENT = 8;

/** What a thread that has nothing else to do is to do, and with which slot; then it calls a method `finish…`. */
export interface Work {
  kind: 'fill' | 'wipe' | 'make';
  /** What it is about; with `make` that is a group. */
  slot: number;
  /** Which bytes of which file are to be filled in. */
  node: number;
  offset: number;
  length: number;
}

/** The blocks of a read, in their order: slots that are pinned, or -1. */
export interface Plan {
  readonly slots: Int32Array;
  count: number;
}

/**
 * Decides which blocks of which files are decrypted ahead, and where each block is. It only keeps account, in memory
 * that all threads of a mount share: it touches no contents, so a test can be all threads at once. Each method is one
 * step, either under one lock or a single atomic operation; it waits for no other thread without bound, and does
 * nothing when the lock is not to be had.
 */
export class Ring {
  readonly blocks: Blocks;
  readonly #words: Int32Array;
  readonly #lock: SharedLock;
  readonly #files: Files;
  readonly #streams: Streams;

  constructor(state: SharedArrayBuffer) {
    this.#words = new Int32Array(state, 0, WORD_COUNT);
    const numbers = new Float64Array(state, WORD_COUNT * Int32Array.BYTES_PER_ELEMENT);
    this.#lock = new SharedLock(this.#words, Word.lock);
    this.#files = new Files(this.#words, numbers);
    this.#streams = new Streams(this.#words, numbers);
    this.blocks = new Blocks(this.#words, numbers);
  }

  /** Rises with every read of an open file. */
  get use(): number {
    return Atomics.load(this.#words, Word.use);
  }

  /** False when {@link claim} would find nothing. */
  get mayHaveWork(): boolean {
    return Atomics.load(this.#words, Word.pending) !== 0;
  }

  /** Whether no block has memory. */
  get isAbsent(): boolean {
    for (let slot = 0; slot < BLOCKS; slot++) if (!this.blocks.isAbsent(slot)) return false;
    return true;
  }

  /** Notes that a file was opened. Returns a handle for reads, above 0; 0 when there is no room. */
  open(node: number, size: number): number {
    if (!this.#lock.tryTake()) return 0;
    const file = this.#files.open(node, size);
    this.#lock.release();
    return file + 1;
  }

  /** Notes that a handle was closed. With the last one of a file, its streams end. */
  close(handle: number): void {
    if (!isHandle(handle) || !this.#lock.tryTake(CLOSING_TRIES)) return;
    if (this.#files.close(handle - 1)) {
      this.#streams.finishAll(handle - 1);
      this.blocks.forget(handle - 1);
      this.#setPending();
    }
    this.#lock.release();
  }

  /**
   * Finds the blocks of bytes `offset` to `end`, which are in the file, and pins them; learns from the read where its
   * stream is. Each pinned slot must be given to {@link unpin}.
   * @returns false when the read belongs to no stream: nothing is pinned then
   */
  plan(handle: number, node: number, offset: number, end: number, plan: Plan): boolean {
    plan.count = 0;
    if (!isHandle(handle) || end <= offset || !this.#lock.tryTake()) return false;
    const isStream = this.#planLocked(handle - 1, node, offset, end, plan);
    this.#lock.release();
    return isStream;
  }

  unpin(slot: number): void {
    this.blocks.unpin(slot);
    this.#setPending();
  }

  /**
   * Gives the calling thread something to do.
   * @returns false when there is nothing
   */
  claim(work: Work): boolean {
    if (!this.mayHaveWork || !this.#lock.tryTake()) return false;
    // Before looking: what another thread ends without the lock from here on sets it again.
    Atomics.store(this.#words, Word.pending, 0);
    this.#collect();
    // What was of a file that is closed waits for nothing.
    const isFound =
      this.#claimWipe(this.blocks.findForgotten(), work) ||
      this.#claimFill(work) ||
      this.#claimWipe(this.#slotToWipe(), work);
    if (isFound) this.#setPending();
    this.#lock.release();
    return isFound;
  }

  /**
   * Gives the calling thread a block to wipe, and nothing else to do; then it calls {@link finishWipe}.
   * @returns the slot; -1 when there is none
   */
  claimWipe(): number {
    if (!this.#lock.tryTake()) return -1;
    this.#collect();
    const slot = this.blocks.findIn(State.spent);
    if (slot >= 0) this.blocks.claimWipe(slot);
    this.#lock.release();
    return slot;
  }

  /** Ends work of kind `fill`. @param isVerified whether all of the block was verified and is in its place */
  finishFill(slot: number, isVerified: boolean): void {
    this.blocks.finish(slot, isVerified);
    this.#setPending();
  }

  /** Ends the wiping of a slot. */
  finishWipe(slot: number): void {
    this.blocks.set(slot, State.free);
    this.#setPending();
  }

  /** Ends work of kind `make`. @param isLocked whether the memory is locked; otherwise there will be no more of it */
  finishMake(group: number, isLocked: boolean): void {
    if (!isLocked) Atomics.store(this.#words, Word.refused, GROUPS - group);
    this.blocks.setGroup(group, isLocked ? State.free : State.absent);
    this.#setPending();
  }

  /** Ends all streams, and lets all blocks be wiped; files stay open. Returns false when the lock is not to be had. */
  endStreams(): boolean {
    if (!this.#lock.tryTake()) return false;
    for (let file = 0; file < FILES; file++) {
      this.#streams.finishAll(file);
      this.blocks.forget(file);
    }
    this.#setPending();
    this.#lock.release();
    return true;
  }

  /**
   * Takes the last group of which no block is in use out of use. The caller gives its memory back, and then calls
   * {@link finishGiveBack}.
   * @returns -1 when there is none, or one is in use
   */
  claimGroup(): number {
    if (!this.#lock.tryTake()) return -1;
    let group = GROUPS - 1;
    while (group >= 0 && this.blocks.state(group * BLOCKS_PER_GROUP) === State.absent) group--;
    const isFree = group >= 0 && !this.#streams.hasAny() && this.blocks.isGroupFree(group);
    if (isFree) this.blocks.setGroup(group, State.making);
    this.#lock.release();
    return isFree ? group : -1;
  }

  /** Makes a group that {@link claimGroup} gave absent. */
  finishGiveBack(group: number): void {
    this.blocks.setGroup(group, State.absent);
  }

  #planLocked(file: number, node: number, offset: number, end: number, plan: Plan): boolean {
    const files = this.#files;
    const last = Math.floor((end - 1) / BLOCK_SIZE);
    const first = Math.floor(offset / BLOCK_SIZE);
    if (!files.isOpen(file) || files.node(file) !== node || end > files.size(file)) return false;
    if (last - first >= MAX_BLOCKS_PER_READ) return false;
    const use = Atomics.add(this.#words, Word.use, 1) + 1;
    const stream = this.#streamOf(file, offset, end, use);
    if (stream < 0) return false;
    for (let block = first; block <= last; block++) {
      const slot = this.blocks.find(file, block);
      if (slot >= 0) this.blocks.pin(slot);
      plan.slots[plan.count++] = slot;
    }
    if (end >= files.size(file)) this.#streams.finish(stream);
    this.#setPending();
    return true;
  }

  #streamOf(file: number, offset: number, end: number, use: number): number {
    const streams = this.#streams;
    const known = streams.find(file, offset);
    if (known >= 0) {
      streams.advance(known, end, use);
      return known;
    }
    const isContinued = this.#files.end(file) === offset;
    this.#files.setEnd(file, end);
    if (!isContinued && end - offset < MIN_FIRST_READ) return -1;
    const isSure = isContinued || !this.#hasStream(file);
    const begun = streams.begin(file, use, isSure);
    streams.place(begun, end, use);
    if (isSure) streams.advance(begun, end, use);
    return begun;
  }

  #hasStream(file: number): boolean {
    for (let stream = 0; stream < STREAMS; stream++) if (this.#streams.file(stream) === file) return true;
    return false;
  }

  /** Finds the blocks that no stream wants any more. */
  #collect(): void {
    for (let slot = 0; slot < BLOCKS; slot++) {
      const state = this.blocks.state(slot);
      const isDead =
        state === State.unusable || (state === State.ready && this.#nearest(slot) === Number.POSITIVE_INFINITY);
      if (isDead && !this.blocks.isPinned(slot)) this.blocks.spend(slot);
    }
  }

  #nearest(slot: number): number {
    return this.#streams.nearest(this.blocks.file(slot), this.blocks.block(slot));
  }

  /** Claims the missing block that some stream needs soonest, and a place for it. */
  #claimFill(work: Work): boolean {
    const stream = this.#neediest();
    if (stream < 0) return false;
    const file = this.#streams.file(stream);
    const block = this.#streams.front(stream);
    const slot = this.#slotFor(block - this.#streams.block(stream));
    if (slot < 0) return this.#claimMake(work);
    this.blocks.claim(slot, file, block);
    this.#streams.setFront(stream, block + 1);
    work.kind = 'fill';
    work.slot = slot;
    work.node = this.#files.node(file);
    work.offset = block * BLOCK_SIZE;
    work.length = Math.min(BLOCK_SIZE, this.#files.size(file) - work.offset);
    return true;
  }

  /** Moves all fronts to blocks that are missing. Returns the stream whose front is nearest; -1 when nothing is. */
  #neediest(): number {
    let found = -1;
    let nearest = Number.POSITIVE_INFINITY;
    for (let stream = 0; stream < STREAMS; stream++) {
      if (!this.#streams.isActive(stream)) continue;
      const file = this.#streams.file(stream);
      const end = Math.min(this.#streams.end(stream), Math.ceil(this.#files.size(file) / BLOCK_SIZE));
      let front = this.#streams.front(stream);
      while (front < end && this.blocks.find(file, front) >= 0) front++;
      this.#streams.setFront(stream, front);
      const distance = front - this.#streams.block(stream);
      if (front >= end || distance >= nearest) continue;
      found = stream;
      nearest = distance;
    }
    return found;
  }

  /** Finds a slot for a block at some distance; one whose block is needed later than that, where none is free. */
  #slotFor(distance: number): number {
    const spent = this.blocks.findIn(State.spent);
    if (spent >= 0) return spent;
    const free = this.blocks.findIn(State.free);
    if (free >= 0 || this.#groupToMake() >= 0) return free;
    let found = -1;
    let farthest = distance + 1;
    for (let slot = 0; slot < BLOCKS; slot++) {
      if (this.blocks.state(slot) !== State.ready || this.blocks.isPinned(slot)) continue;
      const other = this.#nearest(slot);
      if (other <= farthest) continue;
      found = slot;
      farthest = other;
    }
    if (found >= 0) this.#streams.retreat(this.blocks.file(found), this.blocks.block(found));
    return found;
  }

  #claimMake(work: Work): boolean {
    const group = this.#groupToMake();
    if (group < 0 || this.blocks.findIn(State.making) >= 0) return false;
    this.blocks.setGroup(group, State.making);
    work.kind = 'make';
    work.slot = group;
    return true;
  }

  /** Returns the first group without memory; -1 when there is none, or the kernel locks no more. */
  #groupToMake(): number {
    const limit = GROUPS - Atomics.load(this.#words, Word.refused);
    const slot = this.blocks.findIn(State.absent);
    const group = Math.floor(slot / BLOCKS_PER_GROUP);
    return slot >= 0 && group < limit ? group : -1;
  }

  /** Finds a block to wipe: of those that wait for being overwritten, a few may wait while there are streams. */
  #slotToWipe(): number {
    if (this.#streams.hasAny() && this.blocks.count(State.spent) <= MAX_SPENT) return -1;
    return this.blocks.findIn(State.spent);
  }

  #claimWipe(slot: number, work: Work): boolean {
    if (slot < 0) return false;
    this.blocks.claimWipe(slot);
    work.kind = 'wipe';
    work.slot = slot;
    return true;
  }

  #setPending(): void {
    Atomics.store(this.#words, Word.pending, 1);
  }
}

function isHandle(handle: number): boolean {
  return Number.isInteger(handle) && handle >= 1 && handle <= FILES;
}
