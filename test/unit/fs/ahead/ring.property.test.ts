// Goal: whatever order threads, clients and the keeper meet in, a reply has the blocks that were asked for, nothing is
// overwritten while it is sent, and nothing stays when all is closed.
// Method: random steps of several threads against contents that are labels, see ring-world.ts.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BLOCK_SIZE } from '../../../../src/fs/ahead/layout.ts';
import { RingWorld } from './ring-world.ts';

const NODES = [11, 12, 13];
const BLOCKS_PER_FILE = 90;
const SIZE = BLOCKS_PER_FILE * BLOCK_SIZE - 5000;

const thread = fc.nat(2);
const step = fc.oneof(
  { weight: 1, arbitrary: fc.record({ what: fc.constant('open' as const), node: fc.constantFrom(...NODES) }) },
  { weight: 1, arbitrary: fc.record({ what: fc.constant('close' as const), reader: fc.nat(9) }) },
  {
    weight: 12,
    arbitrary: fc.record({
      what: fc.constant('read' as const),
      thread,
      reader: fc.nat(3),
      // Most reads go on where the one before of the same reader ended; others jump a little, or anywhere.
      jump: fc.oneof(
        { weight: 6, arbitrary: fc.constant(0) },
        { weight: 1, arbitrary: fc.integer({ min: -3 << 20, max: 3 << 20 }) },
        { weight: 1, arbitrary: fc.integer({ min: -SIZE, max: SIZE }) },
      ),
      length: fc.oneof(fc.constant(1 << 20), fc.constant(BLOCK_SIZE), fc.integer({ min: 1, max: 1 << 20 })),
    }),
  },
  { weight: 20, arbitrary: fc.record({ what: fc.constant('work' as const), thread }) },
  { weight: 40, arbitrary: fc.record({ what: fc.constant('step' as const), thread, givesUp: fc.boolean() }) },
  // The keeper begins when no read has come for a while, and is still at it when reads come again.
  { weight: 4, arbitrary: fc.record({ what: fc.constant('keep' as const), steps: fc.nat(9) }) },
);
const damagedBlocks = fc.array(
  fc.tuple(fc.constantFrom(...NODES), fc.nat(BLOCKS_PER_FILE - 1)).map(([node, block]) => `${node}:${block}`),
  { maxLength: 20 },
);

test('every order of steps gives the right blocks, and leaves nothing', () => {
  const steps = fc.array(step, { minLength: 50, maxLength: 800, size: 'max' });
  const property = fc.property(steps, damagedBlocks, fc.nat(8), (taken, damaged, unlockable) => {
    const world = new RingWorld(3, damaged, unlockable);
    const places = [0, 0, 0, 0];
    for (const node of NODES) world.open(node, SIZE);
    for (const one of taken) {
      if (one.what === 'open') world.open(one.node, SIZE);
      if (one.what === 'close') world.close(one.reader);
      if (one.what === 'keep') for (let count = 0; count < one.steps; count++) world.stepKeeper();
      if (one.what === 'work') world.threads[one.thread]?.beginWork();
      if (one.what === 'step') world.threads[one.thread]?.step(one.givesUp);
      if (one.what === 'read') {
        const offset = (places[one.reader] ?? 0) + one.jump;
        if (offset < 0 || offset >= SIZE) places[one.reader] = 0;
        else if (world.threads[one.thread]?.isFree) {
          world.threads[one.thread]?.beginRead(one.reader, offset, one.length);
          places[one.reader] = offset + one.length;
        }
      }
    }
    while (world.handles.length > 0) world.close(0);
    world.settle();
    expect(world.held).toBe(0);
    world.emptyWhenIdle();
    expect(world.held).toBe(0);
    expect(world.ring.isAbsent).toBe(true);
  });
  fc.assert(property, { numRuns: 40 });
});
