import type { Random } from './random.ts';

/** One parser or handler of bytes from outside, and what must hold for every input. */
export interface FuzzTarget {
  readonly name: string;
  /** Makes ready once; the result is used for every input. */
  prepare(): FuzzCase;
}

export interface FuzzCase {
  /** A new input, and what it is checked by. */
  attempt(random: Random): Attempt;
}

export interface Attempt {
  /** Shown when it fails. */
  readonly input: Uint8Array;
  /** Throws when something that must hold does not. Returns a word for what came of it, to be counted. */
  check(): string | Promise<string>;
}

export function must(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Error(what);
}
