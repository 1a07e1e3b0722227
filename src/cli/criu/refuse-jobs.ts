import { CkptfsError } from '../../base/errors.ts';

/**
 * Refuses `--jobs` for a directory that CRIU encrypted, which is read in one thread.
 * @throws CkptfsError `bad-argument`
 */
export function refuseJobs(jobs: number | undefined): void {
  if (jobs === undefined) return;
  throw new CkptfsError('bad-argument', '--jobs is for images; a directory that CRIU encrypted is read in one thread');
}
