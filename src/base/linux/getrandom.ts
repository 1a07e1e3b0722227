import { arch, constants } from 'node:os';
import { CkptfsError } from '../errors.ts';
import { bind, lastErrno, type Region } from './native.ts';
import { systemError } from './system-error.ts';

/**
 * The system call number of getrandom(2) by architecture, from the kernel's tables. The C library's getrandom is not
 * used: from glibc 2.41 on it may answer from a generator in the process's own memory (the vDSO's), which would give
 * the same bytes in each process that is resumed from one image.
 */
const GETRANDOM_NUMBERS: Readonly<Record<string, number>> = {
  x64: 318,
  arm64: 278,
  riscv64: 278,
  loong64: 278,
  arm: 384,
  ppc64: 359,
  s390x: 349,
};

const syscall = bind('syscall', 'int64_t', ['int64_t', 'uintptr_t', 'size_t', 'uint32_t']);

/**
 * Fills a range that is inside the region from the kernel's random generator.
 * @throws CkptfsError `missing-feature` on an architecture whose system call number is not known
 */
export function getRandom(to: Region, offset: number, length: number): void {
  const number = GETRANDOM_NUMBERS[arch()];
  if (number === undefined)
    throw new CkptfsError('missing-feature', `getrandom(2) is not known on ${arch()}`, {
      data: { feature: 'getrandom' },
    });
  for (let done = 0; done < length; ) {
    const count = syscall(number, to.address + offset + done, length - done, 0);
    if (count > 0) done += count;
    else if (lastErrno() !== constants.errno.EINTR) throw systemError('getrandom');
  }
}
