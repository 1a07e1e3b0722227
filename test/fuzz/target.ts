import { MalformedError } from '../../src/base/bytes.ts';
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

/** Runs a parser, and returns the word for what came of it. Its refusals must say nothing of what it was given. */
export function outcomeOfParsing(parse: () => string): string {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
    must(/^[\x20-\x7e]{1,300}$/.test(error.message), 'a message with bytes of the input in it');
    return 'malformed';
  }
}
