import { CkptfsError } from '../errors.ts';
import type { Region } from './native.ts';

/** The most bytes that native code is given at once: libraries take lengths as C int. */
export const MAX_LENGTH = 0x7fffffff;

/**
 * Returns the address of `length` bytes at `offset` of a region.
 * @throws CkptfsError `internal` when they are not inside the region
 */
export function addressIn(region: Region, offset: number, length: number): number {
  checkSpan(region, offset, length);
  return region.address + offset;
}

/** @throws CkptfsError `internal` when `length` bytes at `offset` are not inside the region */
export function checkSpan(region: Region, offset: number, length: number): void {
  if (!(offset >= 0 && length >= 0 && length <= MAX_LENGTH && offset + length <= region.length)) {
    throw new CkptfsError('internal', `${length} bytes at ${offset} are not inside ${region.length}`);
  }
}
