import { expect, test } from 'vitest';
import { Blocks, State } from '../../../../src/fs/ahead/blocks.ts';
import { aheadMemory, WORD_COUNT } from '../../../../src/fs/ahead/layout.ts';

test('a block that is pinned is claimed neither for filling nor for wiping', () => {
  const { state } = aheadMemory();
  const numbers = new Float64Array(state, WORD_COUNT * Int32Array.BYTES_PER_ELEMENT);
  const blocks = new Blocks(new Int32Array(state, 0, WORD_COUNT), numbers);
  blocks.set(3, State.ready);
  blocks.pin(3);
  expect(() => blocks.claim(3, 0, 17)).toThrow('block 3');
  expect(() => blocks.claimWipe(3)).toThrow('block 3');
  expect(blocks.state(3)).toBe(State.ready);
  blocks.unpin(3);
  blocks.claimWipe(3);
  expect(blocks.state(3)).toBe(State.wiping);
});
