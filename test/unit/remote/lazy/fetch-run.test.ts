import { hash } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { fetchRun } from '../../../../src/remote/lazy/fetch-run.ts';
import { runOf, type StoredBlock } from '../../../../src/remote/lazy/plan-runs.ts';
import type { RemoteStore } from '../../../../src/remote/shared/remote-store.ts';

const part = { digest: 'part', size: 1 };

/** Gives out a part in pieces of these sizes, in turn. */
function storeOf(bytes: Buffer, sizes: readonly number[]): Pick<RemoteStore, 'getRange'> {
  return {
    async getRange(_part, start, end, sink) {
      for (let at = start, turn = 0; at < end; turn++) {
        const next = Math.min(end, at + (sizes[turn % sizes.length] ?? 1));
        sink(Buffer.from(bytes.subarray(at, next)));
        at = next;
      }
    },
  };
}

/** Blocks of these sizes one after another, of which those that are smaller than 10 bytes have no pages. */
function packed(sizes: readonly number[]): { bytes: Buffer; blocks: StoredBlock[] } {
  const bytes = Buffer.from(sizes.flatMap((size, index) => Array(size).fill(index)));
  let offset = 0;
  const blocks = sizes.map((packedSize, block) => {
    const digest = hash('sha256', bytes.subarray(offset, offset + packedSize), 'hex').slice(0, 32);
    const pages = packedSize < 10 ? 0 : 1;
    const placed = { block, file: 0, part: 0, start: 0, length: 0, pages, packedSize, offset, digest };
    offset += packedSize;
    return placed;
  });
  return { bytes, blocks };
}

test('each block comes as it is, however the bytes come', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 8, max: 40 }), { minLength: 1, maxLength: 20 }),
      fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 5 }),
      fc.nat(19),
      async (sizes, pieces, skipped) => {
        const { bytes, blocks } = packed(sizes);
        const wanted = blocks.slice(skipped).filter(({ pages }) => pages > 0);
        fc.pre(wanted.length > 0);
        const came: (Buffer | undefined)[] = [];
        await fetchRun(storeOf(bytes, pieces), part, runOf(wanted), (block) => came.push(block));
        expect(came).toEqual(
          wanted.map(({ offset, packedSize }) => bytes.subarray(offset, offset + packedSize)).map(Buffer.from),
        );
      },
    ),
  );
});

test('a block with other bytes than its digest says is told from others', async () => {
  const { bytes, blocks } = packed([20, 30, 40]);
  bytes[25] = 0xff;
  const came: (Buffer | undefined)[] = [];
  await fetchRun(storeOf(bytes, [7]), part, runOf(blocks), (block) => came.push(block));
  expect(came.map((block) => block?.length)).toEqual([20, undefined, 40]);
});
