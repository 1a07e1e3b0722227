import type { Counters } from '../../base/counters.ts';
import type { Region } from '../../base/linux/native.ts';
import type { PiecedReply, ReadAhead } from '../../fuse/protocol/read-ahead.ts';
import { BlockMemory } from './block-memory.ts';
import { type AheadMemory, BLOCK_SIZE } from './layout.ts';
import { MAX_BLOCKS_PER_READ, type Plan, Ring, type Work } from './ring.ts';

/** The files whose blocks are read ahead. */
export interface AheadSource {
  /** Whether every read fails, also of what was read ahead. */
  readonly isLocked?: boolean;
  /** Bytes of a file. @throws Errno */
  sizeOf(node: number): number;
  /** As a file system's. @throws Errno */
  read(node: number, offset: number, length: number, out: Region, outOffset: number): number;
  /**
   * Reads bytes that no request has asked for yet.
   * @returns false when not all of them are there and verified: then `out` has none of them, and nothing is reported,
   *   because the read that asks for them reports it
   */
  readAhead(node: number, offset: number, length: number, out: Region, outOffset: number): boolean;
}

/** Reads and fills the blocks of a {@link Ring} for one serving thread. */
export class RingReader implements ReadAhead {
  readonly #ring: Ring;
  readonly #memory: BlockMemory;
  readonly #source: AheadSource;
  readonly #counters: Counters;
  readonly #onMade: () => void;
  readonly #plan: Plan = { slots: new Int32Array(MAX_BLOCKS_PER_READ), count: 0 };
  readonly #work: Work = { kind: 'fill', slot: 0, node: 0, offset: 0, length: 0 };

  /** @param onMade is called when memory was taken, which the caller gives back at some time, see RingKeeper */
  constructor(memory: AheadMemory, source: AheadSource, counters: Counters, onMade: () => void) {
    this.#ring = new Ring(memory.state);
    this.#memory = new BlockMemory(memory.blocks);
    this.#source = source;
    this.#counters = counters;
    this.#onMade = onMade;
  }

  opened(node: number): number {
    return this.#ring.open(node, this.#source.sizeOf(node));
  }

  closed(handle: number): void {
    this.#ring.close(handle);
  }

  read(handle: number, node: number, offset: number, length: number, reply: PiecedReply): number {
    const end = Math.min(offset + length, this.#source.sizeOf(node));
    if (this.#source.isLocked === true || !this.#ring.plan(handle, node, offset, end, this.#plan)) {
      return this.#source.read(node, offset, length, reply.memory, reply.bodyOffset);
    }
    this.#readMissing(node, offset, end, reply);
    this.#makeReply(offset, end, reply);
    return end - offset;
  }

  sent(): void {
    const { slots, count } = this.#plan;
    this.#plan.count = 0;
    for (let index = 0; index < count; index++) {
      const slot = slots[index] ?? -1;
      if (slot >= 0) this.#ring.unpin(slot);
    }
  }

  get mayHaveWork(): boolean {
    return this.#ring.mayHaveWork;
  }

  work(): boolean {
    const work = this.#work;
    if (!this.#ring.claim(work)) return false;
    switch (work.kind) {
      case 'fill':
        this.#ring.finishFill(work.slot, this.#fill(work));
        break;
      case 'wipe':
        this.#memory.wipe(work.slot);
        this.#ring.finishWipe(work.slot);
        break;
      case 'make': {
        const isLocked = this.#memory.make(work.slot);
        this.#ring.finishMake(work.slot, isLocked);
        if (isLocked) this.#onMade();
        break;
      }
    }
    return true;
  }

  #fill({ node, offset, length, slot }: Work): boolean {
    return this.#source.readAhead(node, offset, length, this.#memory.region, slot * BLOCK_SIZE);
  }

  /**
   * Reads into the reply what no block has, and after that what is not ready in time. Those slots stay pinned, but
   * their places in the plan become -1.
   * @throws Errno
   */
  #readMissing(node: number, offset: number, end: number, reply: PiecedReply): void {
    const { slots, count } = this.#plan;
    for (let index = 0; index < count; index++) {
      if (slots[index] === -1) this.#readBlock(index, node, offset, end, reply);
    }
    for (let index = 0; index < count; index++) {
      const slot = slots[index] ?? -1;
      if (slot < 0 || this.#ring.blocks.waitFor(slot)) continue;
      this.#ring.unpin(slot);
      slots[index] = -1;
      this.#readBlock(index, node, offset, end, reply);
    }
  }

  #readBlock(index: number, node: number, offset: number, end: number, reply: PiecedReply): void {
    const start = startOf(index, offset);
    const length = Math.min(end, startOf(index + 1, offset)) - start;
    this.#source.read(node, start, length, reply.memory, reply.bodyOffset + start - offset);
  }

  #makeReply(offset: number, end: number, reply: PiecedReply): void {
    const { slots, count } = this.#plan;
    for (let index = 0; index < count; index++) {
      const slot = slots[index] ?? -1;
      const start = startOf(index, offset);
      const length = Math.min(end, startOf(index + 1, offset)) - start;
      if (slot < 0) {
        reply.piece(reply.memory.address + reply.bodyOffset + start - offset, length);
      } else {
        reply.piece(this.#memory.region.address + slot * BLOCK_SIZE + (start % BLOCK_SIZE), length);
        this.#counters.add('bytesServedAhead', length);
      }
    }
  }
}

/** Returns where the part of a read at `offset` begins that is in its block number `index`. */
function startOf(index: number, offset: number): number {
  return index === 0 ? offset : (Math.floor(offset / BLOCK_SIZE) + index) * BLOCK_SIZE;
}
