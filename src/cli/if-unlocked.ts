import { CkptfsError } from '../base/errors.ts';

/** Does what needs a key. Returns undefined without one: for `info` that is not a failure. */
export async function ifUnlocked<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof CkptfsError && error.code === 'no-key') return undefined;
    throw error;
  }
}
