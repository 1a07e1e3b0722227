import { getRandom } from '../base/linux/getrandom.ts';
import { Region } from '../base/linux/native.ts';

/**
 * Fills memory from the kernel's random generator. This is the only source of random bytes in ckptfs: it keeps no state
 * in this process, and the kernel reseeds it when it learns that its virtual machine was cloned or resumed (format.md
 * §7).
 * @throws CkptfsError `missing-feature` on an architecture whose system call number is not known
 */
export function fillRandom(to: Region, offset = 0, length = to.length - offset): void {
  if (!(offset >= 0 && length >= 0 && offset + length <= to.length))
    throw new RangeError('the bytes to fill are not inside the region');
  getRandom(to, offset, length);
}

/** Makes new random bytes by {@link fillRandom}. */
export function randomBytes(length: number): Buffer {
  const made = new Region(length);
  fillRandom(made);
  return made.bytes;
}
