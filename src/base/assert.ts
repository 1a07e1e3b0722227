import { CkptfsError } from './errors.ts';

/** What a broken invariant was about: numbers and identifiers, never names or contents of files. */
export type Facts = Readonly<Record<string, number | string>>;

/**
 * Throws unless a condition holds that only a fault in ckptfs, or in a store, can break.
 * @param name of the invariant in the README of its room, such as `W7`
 * @throws CkptfsError `internal` that names the invariant and the facts
 */
export function invariant(condition: boolean, name: string, facts?: Facts): asserts condition {
  if (!condition) throw new CkptfsError('internal', `invariant ${name} is broken${described(facts)}`);
}

/**
 * Returns whether an error is a failure that the caller can meet: what a store or a user did, not a fault in ckptfs.
 */
export function isFailure(error: unknown): error is CkptfsError {
  return error instanceof CkptfsError && error.code !== 'internal';
}

function described(facts: Facts | undefined): string {
  const parts = Object.entries(facts ?? {}).map(([name, value]) => `${name} ${value}`);
  return parts.length === 0 ? '' : `: ${parts.join(', ')}`;
}
