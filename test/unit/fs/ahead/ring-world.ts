import { expect } from 'vitest';
import { State } from '../../../../src/fs/ahead/blocks.ts';
import { aheadMemory, BLOCK_SIZE, BLOCKS, BLOCKS_PER_GROUP } from '../../../../src/fs/ahead/layout.ts';
import { MAX_BLOCKS_PER_READ, type Plan, Ring, type Work } from '../../../../src/fs/ahead/ring.ts';
import { emptying } from '../../../../src/fs/ahead/ring-keeper.ts';

/** What a block's memory has: zeros, one block of a file, or what is left of a filling that is under way. */
type Content = 'zeros' | 'partial' | `${number}:${number}`;

type Doing =
  | { readonly kind: 'nothing' }
  | { readonly kind: 'working'; readonly work: Work }
  | { readonly kind: 'reading' | 'sending'; readonly node: number; readonly first: number };

/**
 * A ring with contents that are only labels, and threads that take one step at a time, so that a test can have them
 * meet in any order. Each step checks what the ring promises: what is sent is what was asked for and stays so until it
 * was sent, and what is overwritten or wiped is sent by nobody.
 */
export class RingWorld {
  readonly ring = new Ring(aheadMemory().state);
  readonly contents: Content[] = new Array<Content>(BLOCKS).fill('zeros');
  /** The handles that are open, with the file of each. */
  readonly handles: { readonly handle: number; readonly node: number; readonly size: number }[] = [];
  readonly threads: RingThread[];
  /** Blocks, as `node:block`, that do not authenticate. */
  readonly damaged: ReadonlySet<string>;
  /** The group whose memory is never locked, and those after it. */
  readonly unlockable: number;
  #keeper: Generator<void, void> | undefined;

  constructor(threads: number, damaged: Iterable<string> = [], unlockable: number = BLOCKS / BLOCKS_PER_GROUP) {
    this.damaged = new Set(damaged);
    this.unlockable = unlockable;
    this.threads = Array.from({ length: threads }, () => new RingThread(this));
  }

  open(node: number, size: number): void {
    const handle = this.ring.open(node, size);
    if (handle > 0) this.handles.push({ handle, node, size });
  }

  /** Closes the handle in a place of {@link handles}, as when its last process was killed. */
  close(index: number): void {
    const [closed] = this.handles.splice(index, 1);
    if (closed !== undefined) this.ring.close(closed.handle);
  }

  /** Takes the next step of what RingKeeper does when no read has come for a while, or the first. */
  stepKeeper(): void {
    this.#keeper ??= emptying(this.ring, {
      wipe: (slot) => this.#keeperWipes(slot),
      giveBack: (group) => this.#keeperGivesBack(group),
    });
    if (this.#keeper.next().done === true) this.#keeper = undefined;
  }

  finishKeeper(): void {
    while (this.#keeper !== undefined) this.stepKeeper();
  }

  /** Does all that RingKeeper does when no read has come for a while. */
  emptyWhenIdle(): void {
    this.finishKeeper();
    this.stepKeeper();
    this.finishKeeper();
  }

  /** Lets the keeper and all threads end what they do, and the threads then work until there is nothing to do. */
  settle(): void {
    this.finishKeeper();
    for (const thread of this.threads) thread.finish();
    for (let steps = 0; this.threads.some((thread) => thread.beginWork()); steps++) {
      expect(steps).toBeLessThan(10_000);
      for (const thread of this.threads) thread.finish();
    }
  }

  /** Counts the blocks that have anything but zeros. */
  get held(): number {
    return this.contents.filter((content) => content !== 'zeros').length;
  }

  isBeingSent(slot: number): boolean {
    return this.threads.some((thread) => thread.isSending(slot));
  }

  #keeperWipes(slot: number): void {
    expect(this.isBeingSent(slot)).toBe(false);
    expect(this.ring.blocks.isPinned(slot)).toBe(false);
    this.contents[slot] = 'zeros';
  }

  #keeperGivesBack(group: number): void {
    const slots = this.contents.slice(group * BLOCKS_PER_GROUP, (group + 1) * BLOCKS_PER_GROUP);
    expect(slots.every((content) => content === 'zeros')).toBe(true);
  }
}

export class RingThread {
  readonly #world: RingWorld;
  readonly #plan: Plan = { slots: new Int32Array(MAX_BLOCKS_PER_READ), count: 0 };
  #doing: Doing = { kind: 'nothing' };
  /** How many blocks of the last read came from the ring. */
  fromRing = 0;

  constructor(world: RingWorld) {
    this.#world = world;
  }

  get isFree(): boolean {
    return this.#doing.kind === 'nothing';
  }

  isSending(slot: number): boolean {
    const { slots, count } = this.#plan;
    return this.#doing.kind === 'sending' && slots.subarray(0, count).includes(slot);
  }

  /** Begins to answer a read. Returns whether the ring takes part in it. */
  beginRead(index: number, offset: number, length: number): boolean {
    const open = this.#world.handles[index];
    if (open === undefined || !this.isFree) return false;
    const end = Math.min(offset + length, open.size);
    this.fromRing = 0;
    if (!this.#world.ring.plan(open.handle, open.node, offset, end, this.#plan)) return false;
    expect(this.#plan.count).toBe(Math.floor((end - 1) / BLOCK_SIZE) - Math.floor(offset / BLOCK_SIZE) + 1);
    this.#doing = { kind: 'reading', node: open.node, first: Math.floor(offset / BLOCK_SIZE) };
    return true;
  }

  /** Begins a piece of work. Returns whether there was one. */
  beginWork(): boolean {
    if (!this.isFree) return false;
    const work: Work = { kind: 'fill', slot: 0, node: 0, offset: 0, length: 0 };
    if (!this.#world.ring.claim(work)) return false;
    if (work.kind !== 'make') {
      expect(this.#world.isBeingSent(work.slot)).toBe(false);
      expect(this.#world.ring.blocks.isPinned(work.slot)).toBe(false);
    }
    if (work.kind === 'fill') {
      expect(work.length).toBeGreaterThan(0);
      this.#world.contents[work.slot] = 'partial';
    }
    this.#doing = { kind: 'working', work };
    return true;
  }

  /**
   * Takes the next step of what it does.
   * @param givesUp whether it stops waiting for blocks that others fill
   */
  step(givesUp: boolean): void {
    if (this.#doing.kind === 'working') this.#endWork(this.#doing.work);
    else if (this.#doing.kind === 'reading') this.#lookAtBlocks(this.#doing.node, this.#doing.first, givesUp);
    else if (this.#doing.kind === 'sending') this.#endSending(this.#doing.node, this.#doing.first);
  }

  finish(): void {
    while (!this.isFree) this.step(true);
  }

  #endWork(work: Work): void {
    const { ring, contents, damaged, unlockable } = this.#world;
    this.#doing = { kind: 'nothing' };
    if (work.kind === 'make') {
      ring.finishMake(work.slot, work.slot < unlockable);
    } else if (work.kind === 'wipe') {
      contents[work.slot] = 'zeros';
      ring.finishWipe(work.slot);
    } else {
      const block = `${work.node}:${work.offset / BLOCK_SIZE}` as const;
      if (!damaged.has(block)) contents[work.slot] = block;
      ring.finishFill(work.slot, !damaged.has(block));
    }
  }

  #lookAtBlocks(node: number, first: number, givesUp: boolean): void {
    const { slots, count } = this.#plan;
    const { ring } = this.#world;
    for (let index = 0; index < count; index++) {
      const slot = slots[index] ?? -1;
      if (slot < 0) continue;
      const state = ring.blocks.state(slot);
      if (state === State.filling && !givesUp) return;
      if (state === State.ready) continue;
      ring.unpin(slot);
      slots[index] = -1;
    }
    this.#doing = { kind: 'sending', node, first };
    this.#checkContents(node, first);
  }

  #endSending(node: number, first: number): void {
    this.fromRing = this.#checkContents(node, first);
    this.#doing = { kind: 'nothing' };
    for (const slot of this.#plan.slots.subarray(0, this.#plan.count)) if (slot >= 0) this.#world.ring.unpin(slot);
  }

  #checkContents(node: number, first: number): number {
    const { slots, count } = this.#plan;
    let found = 0;
    for (let index = 0; index < count; index++) {
      const slot = slots[index] ?? -1;
      if (slot < 0) continue;
      expect(this.#world.contents[slot]).toBe(`${node}:${first + index}`);
      found++;
    }
    return found;
  }
}
