import { describe } from 'vitest';
import type { WritableFileSystem } from '../../src/fuse/protocol/filesystem.ts';
import { describeContents } from './contents-contract.ts';
import { describeNames } from './names-contract.ts';

/**
 * What every WritableFileSystem must do, beyond its types.
 * @param make a new one, empty but for its root
 */
export function describeWritableContract(name: string, make: () => WritableFileSystem): void {
  describe(name, () => {
    describe('names and nodes', () => describeNames(make));
    describe('contents and attributes', () => describeContents(make));
  });
}
