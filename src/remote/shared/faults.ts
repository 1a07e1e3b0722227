import type { ErrorData } from '../../base/error-data.ts';
import { CkptfsError } from '../../base/errors.ts';

type Reason = ErrorData<'store-unavailable'>['reason'];

/** Makes the error of a store that cannot be used. @param location names it, and never has a secret */
export function unavailable(location: string, reason: Reason, problem: string, cause?: unknown): CkptfsError {
  return new CkptfsError('store-unavailable', `${location}: ${problem}`, { data: { reason }, cause });
}

/** Makes the error of a store that has other bytes than it should. */
export function corrupt(location: string, problem: string, cause?: unknown): CkptfsError {
  return new CkptfsError('damaged', `${location}: ${problem}`, { path: location, cause });
}

/** Makes the error of a store whose answers are not what they must be. */
export function garbage(location: string, problem: string, cause?: unknown): CkptfsError {
  return unavailable(location, 'garbage', problem, cause);
}
