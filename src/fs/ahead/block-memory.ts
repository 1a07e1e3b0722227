import { givePagesBack, lockPages, preferHugePages, unlockPages } from '../../base/linux/memory.ts';
import { Region } from '../../base/linux/native.ts';
import { wipe } from '../../base/wipe.ts';
import { BLOCK_SIZE, GROUP_SIZE, GROUPS } from './layout.ts';

/**
 * The memory of all blocks. It is taken in groups, each locked and left out of core dumps, in one huge page if that is
 * possible.
 */
export class BlockMemory {
  /** Slot n begins at n × {@link BLOCK_SIZE}. */
  readonly region: Region;

  constructor(blocks: SharedArrayBuffer) {
    const start = new Region(new Uint8Array(blocks)).address;
    const offset = (GROUP_SIZE - (start % GROUP_SIZE)) % GROUP_SIZE;
    this.region = new Region(new Uint8Array(blocks, offset, GROUPS * GROUP_SIZE));
  }

  /** Takes the memory of a group. @returns false when the system does not lock it; the group must then not be used */
  make(group: number): boolean {
    const address = this.#groupAddress(group);
    preferHugePages(address, GROUP_SIZE);
    if (lockPages(address, GROUP_SIZE)) return true;
    this.giveBack(group);
    return false;
  }

  /** Gives the memory of a group back, which must be wiped. */
  giveBack(group: number): void {
    const address = this.#groupAddress(group);
    unlockPages(address, GROUP_SIZE);
    givePagesBack(address, GROUP_SIZE);
  }

  wipe(slot: number): void {
    wipe(this.region.bytes, slot * BLOCK_SIZE, (slot + 1) * BLOCK_SIZE);
  }

  #groupAddress(group: number): number {
    return this.region.address + group * GROUP_SIZE;
  }
}
