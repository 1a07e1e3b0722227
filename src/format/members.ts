import { MalformedError } from '../base/bytes.ts';

/** Returns the members of a JSON object. @param what names it in the error. @throws MalformedError for another value */
export function membersOf(value: unknown, what: string): ReadonlyMap<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new MalformedError(`${what} is not an object`);
  }
  return new Map<string, unknown>(Object.entries(value));
}
