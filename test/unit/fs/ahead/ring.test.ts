import { describe, expect, test } from 'vitest';
import { State } from '../../../../src/fs/ahead/blocks.ts';
import { BLOCK_SIZE, BLOCKS, BLOCKS_PER_GROUP, FILES } from '../../../../src/fs/ahead/layout.ts';
import { type RingThread, RingWorld } from './ring-world.ts';

const MIB = 1 << 20;
const NODE = 7;

/** Makes a world of `threads` with one large file open, at index 0 of its handles. */
function worldOf(threads: number, size = 256 * MIB, damaged: readonly string[] = []): RingWorld {
  const world = new RingWorld(threads, damaged);
  world.open(NODE, size);
  return world;
}

function threadOf(world: RingWorld, index = 0): RingThread {
  const thread = world.threads[index];
  if (thread === undefined) throw new Error(`no thread ${index}`);
  return thread;
}

/** Reads to the end of the read, and returns how many of its blocks came from the ring. */
function read(world: RingWorld, offset: number, length = MIB, handle = 0): number {
  const thread = threadOf(world);
  thread.beginRead(handle, offset, length);
  thread.finish();
  return thread.fromRing;
}

/** Closes the file of handle 0 while a thread sends blocks of it, and lets the other thread do all that is left. */
function closeWhileSending(world: RingWorld): RingThread {
  const sender = threadOf(world);
  sender.beginRead(0, MIB, MIB);
  sender.step(false);
  world.close(0);
  const other = threadOf(world, 1);
  while (other.beginWork()) other.finish();
  return sender;
}

describe('a stream', () => {
  test('begins with the first large read, and all that follows it comes from the ring', () => {
    const world = worldOf(2);
    expect(read(world, 0)).toBe(0);
    for (let at = MIB; at < 64 * MIB; at += MIB) {
      world.settle();
      expect(read(world, at)).toBe(4);
    }
  });

  test('begins with a small read only when another follows it', () => {
    const world = worldOf(1);
    for (const offset of [0, 40 * MIB, 8 * MIB]) {
      read(world, offset, 4096);
      world.settle();
      expect(world.held).toBe(0);
    }
    // The block in which it is goes the ordinary way.
    read(world, 8 * MIB + 4096, 4096);
    world.settle();
    expect(world.held).toBe(7);
  });

  test('is ahead by more with each read, and by no more than half of the ring', () => {
    const world = worldOf(1);
    const ahead = [0, 1, 2, 3, 4, 5].map((index) => {
      read(world, index * MIB);
      world.settle();
      return world.contents.filter((content) => content !== 'zeros').length;
    });
    expect(ahead[0]).toBe(8);
    expect(ahead[1]).toBeGreaterThan(8);
    expect(Math.max(...ahead)).toBeLessThanOrEqual(32 + 8);
  });

  test('ends with the file, and leaves nothing', () => {
    const world = worldOf(2, 5 * MIB + 1234);
    for (let at = 0; at < 5 * MIB + 1234; at += 300_001) {
      read(world, at, 300_001);
      world.settle();
    }
    expect(world.held).toBe(0);
  });

  test('goes on after what it jumps over', () => {
    const world = worldOf(1);
    read(world, 0);
    world.settle();
    read(world, MIB);
    world.settle();
    expect(read(world, 3 * MIB + 4096)).toBeGreaterThan(3);
    world.settle();
    expect(world.contents).not.toContain(`${NODE}:9`);
  });

  test('stops when no process reads', () => {
    const world = worldOf(1);
    read(world, 0);
    world.settle();
    expect(world.held).toBe(8);
    world.ring.endStreams();
    world.settle();
    expect(world.held).toBe(0);
    world.emptyWhenIdle();
    expect(world.ring.isAbsent).toBe(true);
    // The file is still open: the next read begins anew.
    expect(read(world, 5 * MIB)).toBe(0);
    world.settle();
    expect(read(world, 6 * MIB)).toBe(4);
  });
});

describe('several readers', () => {
  test('of one file share blocks: each is filled once, when they are near to each other', () => {
    const world = worldOf(2);
    world.open(NODE, 256 * MIB);
    let served = 0;
    for (let at = 0; at < 32 * MIB; at += MIB) {
      for (const handle of [0, 1]) {
        served += read(world, at, MIB, handle);
        world.settle();
      }
    }
    expect(served).toBeGreaterThan(2 * 31 * 4 - 16);
  });

  test('of eight files each get a part of the ring', () => {
    const world = new RingWorld(2);
    const nodes = [1, 2, 3, 4, 5, 6, 7, 8];
    for (const node of nodes) world.open(node, 256 * MIB);
    for (let at = 0; at < 24 * MIB; at += MIB) {
      for (const [index] of nodes.entries()) {
        const fromRing = read(world, at, MIB, index);
        if (at > 0) expect(fromRing).toBe(4);
        world.settle();
      }
    }
  });

  test('one that stopped gives way to another', () => {
    const world = worldOf(1);
    for (let at = 0; at < 8 * MIB; at += MIB) {
      read(world, at);
      world.settle();
    }
    world.open(8, 256 * MIB);
    world.open(9, 256 * MIB);
    for (let at = 0; at < 8 * MIB; at += MIB) {
      for (const handle of [1, 2]) {
        expect(read(world, at, MIB, handle)).toBe(at === 0 ? 0 : 4);
        world.settle();
      }
    }
  });

  test('more files than there is room for are read without the ring', () => {
    const world = new RingWorld(1);
    for (let node = 1; node <= FILES + 5; node++) world.open(node, 64 * MIB);
    expect(world.handles.length).toBe(FILES);
    world.close(0);
    world.open(999, 64 * MIB);
    expect(world.handles.length).toBe(FILES);
  });
});

describe('a block', () => {
  test('that is damaged is never ready, and only its own read goes without it', () => {
    const world = worldOf(1, 256 * MIB, [`${NODE}:9`]);
    const fromRing = [0, 1, 2, 3, 4].map((index) => {
      const found = read(world, index * MIB);
      world.settle();
      return found;
    });
    expect(fromRing).toEqual([0, 4, 3, 4, 4]);
  });

  test('that is being filled when its file is closed is wiped by who fills it', () => {
    const world = worldOf(2);
    read(world, 0);
    const filler = threadOf(world, 1);
    while (filler.beginWork() && !world.contents.includes('partial')) filler.finish();
    expect(world.contents).toContain('partial');
    world.close(0);
    world.settle();
    expect(world.held).toBe(0);
  });

  test('that is being sent when its file is closed stays as it is until then', () => {
    const world = worldOf(2);
    read(world, 0);
    world.settle();
    const sender = closeWhileSending(world);
    sender.finish();
    expect(sender.fromRing).toBe(4);
    world.settle();
    expect(world.held).toBe(0);
  });
});

describe('while another file is read', () => {
  const OTHER = 8;
  const heldOf = (world: RingWorld, node: number): number =>
    world.contents.filter((content) => content.startsWith(`${node}:`)).length;

  test('no block of a closed file waits for being overwritten', () => {
    const world = worldOf(2);
    world.open(OTHER, 256 * MIB);
    for (const handle of [0, 1]) {
      read(world, 0, MIB, handle);
      world.settle();
    }
    closeWhileSending(world);
    expect(heldOf(world, NODE)).toBe(4);
    world.settle();
    expect(heldOf(world, NODE)).toBe(0);
    expect(heldOf(world, OTHER)).toBe(8);
  });

  test('a block of a closed file is wiped before another is filled', () => {
    const world = worldOf(1);
    world.open(OTHER, 256 * MIB);
    read(world, 0);
    world.settle();
    read(world, 0, MIB, 1);
    world.close(0);
    const thread = threadOf(world);
    for (let count = 0; count < 8; count++) {
      thread.beginWork();
      thread.finish();
    }
    expect(world.held).toBe(0);
    world.settle();
    expect(heldOf(world, OTHER)).toBe(8);
  });

  test('what was filled in vain is wiped', () => {
    const world = worldOf(1, 256 * MIB, [`${NODE}:11`]);
    read(world, 0);
    world.settle();
    expect(world.contents).not.toContain('partial');
    expect(world.held).toBe(7);
  });
});

describe('the keeper, while a process begins to read again', () => {
  test('claims no block that the new stream wants filled', () => {
    const world = worldOf(2);
    read(world, 0);
    world.settle();
    world.emptyWhenIdle();
    read(world, 0);
    world.settle();
    // It has ended the streams when the process reads again, and goes on when the new stream has blocks to fill.
    world.stepKeeper();
    read(world, 20 * MIB);
    world.stepKeeper();
    const [reader, filler] = [threadOf(world), threadOf(world, 1)];
    reader.beginRead(0, 21 * MIB, MIB);
    world.finishKeeper();
    while (filler.beginWork()) filler.finish();
    reader.finish();
    world.settle();
    expect(read(world, 22 * MIB)).toBe(4);
  });

  test('claims no group that the new stream wants made', () => {
    const world = worldOf(2);
    read(world, 0);
    world.settle();
    const [sender, other] = [threadOf(world), threadOf(world, 1)];
    sender.beginRead(0, MIB, MIB);
    sender.step(false);
    world.stepKeeper();
    other.beginRead(0, 20 * MIB, MIB);
    other.finish();
    // Half of the first group is being sent, and the stream fills the other half: it wants the second group next.
    for (let count = 0; count < BLOCKS_PER_GROUP / 2; count++) {
      expect(other.beginWork()).toBe(true);
      other.finish();
    }
    world.finishKeeper();
    sender.finish();
    expect(sender.fromRing).toBe(4);
    world.settle();
    expect(world.ring.blocks.findIn(State.making)).toBe(-1);
    expect(read(world, 21 * MIB)).toBe(4);
  });
});

describe('memory', () => {
  test('is taken for few blocks at a time, and not before there is a stream', () => {
    const world = worldOf(1);
    read(world, 0, 4096);
    world.settle();
    expect(world.ring.isAbsent).toBe(true);
    read(world, MIB);
    world.settle();
    expect(world.ring.blocks.count(State.absent)).toBe(BLOCKS - 8);
  });

  test('that the system does not lock is not used', () => {
    const none = new RingWorld(1, [], 0);
    none.open(NODE, 256 * MIB);
    for (let at = 0; at < 8 * MIB; at += MIB) {
      expect(read(none, at)).toBe(0);
      none.settle();
    }
    const some = new RingWorld(1, [], 1);
    some.open(NODE, 256 * MIB);
    read(some, 0);
    some.settle();
    expect(read(some, MIB)).toBe(4);
    some.settle();
    expect(some.ring.blocks.count(State.absent)).toBe(BLOCKS - 8);
  });
});

test('reads that no kernel would send are left to the file system', () => {
  const world = worldOf(1);
  const plan = { slots: new Int32Array(16), count: 0 };
  const { handle = 0 } = world.handles[0] ?? {};
  for (const wrong of [-1, 0.5, Number.NaN, FILES + 1, 2 ** 40, handle + 1]) {
    expect(world.ring.plan(wrong, NODE, 0, MIB, plan)).toBe(false);
  }
  expect(world.ring.plan(handle, NODE + 1, 0, MIB, plan)).toBe(false);
  expect(world.ring.plan(handle, NODE, 0, 300 * MIB, plan)).toBe(false);
  expect(world.ring.plan(handle, NODE, MIB, MIB, plan)).toBe(false);
  expect(world.ring.plan(handle, NODE, 0, 16 * MIB, plan)).toBe(false);
  expect(world.ring.plan(handle, NODE, 0, MIB, plan)).toBe(true);
  expect(BLOCK_SIZE * 4).toBe(MIB);
});
