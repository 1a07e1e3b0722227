import { isAbsolute } from 'node:path';
import { MalformedError } from '../../base/bytes.ts';

/** Readers of values of JSON. Their errors name the member, and never repeat a value: it may be a key. */

/** @throws MalformedError */
export function textFrom(name: string, value: unknown): string {
  if (typeof value !== 'string') throw new MalformedError(`${name}: it is a text`);
  if (value === '' || value.includes('\0')) throw new MalformedError(`${name}: it is empty, or has a NUL`);
  return value;
}

/** @throws MalformedError */
export function pathFrom(name: string, value: unknown): string {
  const path = textFrom(name, value);
  if (isAbsolute(path)) return path;
  throw new MalformedError(`${name}: a path begins with /`);
}

/** Reads a list that is not empty. @throws MalformedError */
export function listOf<T>(read: (name: string, value: unknown) => T): (name: string, value: unknown) => readonly T[] {
  return (name, value) => {
    if (!Array.isArray(value) || value.length === 0)
      throw new MalformedError(`${name}: it is a list, not an empty one`);
    return value.map((each: unknown) => read(name, each));
  };
}

/** @throws MalformedError */
export function numberFrom(name: string, value: unknown, min: number, max: number): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= min && value <= max) return value;
  throw new MalformedError(`${name}: it is a whole number from ${min} to ${max}`);
}

/** @throws MalformedError */
export function booleanFrom(name: string, value: unknown): boolean {
  if (typeof value === 'boolean') return value;
  throw new MalformedError(`${name}: it is true or false`);
}

/** @throws MalformedError */
export function wordFrom<Word extends string>(name: string, value: unknown, words: readonly Word[]): Word {
  const word = words.find((each) => each === value);
  if (word !== undefined) return word;
  throw new MalformedError(`${name}: it is one of ${words.join(', ')}`);
}

/** @throws MalformedError for anything but `auto`, `off` and the address of a responder */
export function ocspFrom(name: string, value: unknown): string {
  const text = textFrom(name, value);
  if (text === 'auto' || text === 'off' || /^https?:\/\/\S+$/.test(text)) return text;
  throw new MalformedError(`${name}: it is auto, off or an http or https URL`);
}

/** Refuses members that are not known, so that none is written in vain. @throws MalformedError */
export function refuseUnknown(members: ReadonlyMap<string, unknown>, known: readonly string[], within = ''): void {
  for (const name of members.keys()) {
    if (known.includes(name)) continue;
    // A name that is long may be anything, such as a key.
    const shown = /^[A-Za-z_-]{1,24}$/.test(name) ? `${within}${name}` : 'a member';
    throw new MalformedError(`${shown} is not known; known are ${known.join(', ')}`);
  }
}
