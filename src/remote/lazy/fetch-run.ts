import type { RemotePart } from '../../format/remote-index.ts';
import type { RemoteStore } from '../shared/remote-store.ts';
import { hasDigest } from './block-digest.ts';
import type { Run } from './plan-runs.ts';

/**
 * Fetches the blocks of a run by one request.
 * @param part that the run is in
 * @param deliver is given each block as soon as all of it came, in order; undefined for one that has other bytes than
 *   its digest says
 * @throws CkptfsError `store-unavailable`, `damaged`, `interrupted`; what was delivered by then is right
 */
export async function fetchRun(
  remote: Pick<RemoteStore, 'getRange'>,
  part: RemotePart,
  { blocks, start, end }: Run,
  deliver: (packed: Buffer | undefined) => void,
): Promise<void> {
  let position = start;
  let [at, filled] = [0, 0];
  let memory = Buffer.alloc(0);
  await remote.getRange(part, start, end, (chunk) => {
    for (let from = 0; from < chunk.length; ) {
      const block = blocks[at];
      if (block === undefined) return;
      // What is before it is of blocks that have no pages.
      const gap = Math.min(block.offset - position, chunk.length - from);
      if (gap > 0) {
        position += gap;
        from += gap;
        continue;
      }
      if (filled === 0) memory = Buffer.allocUnsafeSlow(block.packedSize);
      const count = chunk.copy(memory, filled, from);
      filled += count;
      from += count;
      if (filled < block.packedSize) continue;
      position = block.offset + block.packedSize;
      [at, filled] = [at + 1, 0];
      deliver(hasDigest(memory, block.digest) ? memory : undefined);
    }
  });
}
