import type { Time } from '../../src/base/time.ts';

/** The three times of an inode, all the same. */
export function allTimes(time: Time): { readonly atime: Time; readonly mtime: Time; readonly ctime: Time } {
  return { atime: time, mtime: time, ctime: time };
}

/** The three times of an inode of which no test asks. */
export const NO_TIMES = allTimes({ seconds: 0, nanoseconds: 0 });
