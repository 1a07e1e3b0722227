import { Random } from './random.ts';
import type { FuzzTarget } from './target.ts';

/** No input of these sizes needs a tenth of that; more means a loop that grows with what the input claims. */
const SLOWEST_MS = 2000;

export interface FuzzReport {
  readonly target: string;
  readonly runs: number;
  /** How often each outcome came. */
  readonly outcomes: Readonly<Record<string, number>>;
  readonly slowestMs: number;
}

/** An input for which something did not hold. `seed` and `index` make it again. */
export class FuzzFailure extends Error {
  override readonly name = 'FuzzFailure';
  readonly target: string;
  readonly seed: number;
  readonly index: number;
  readonly input: Buffer;

  constructor(target: string, seed: number, index: number, input: Uint8Array, cause: unknown) {
    super(`${target}, seed ${seed}, input ${index}: ${cause instanceof Error ? cause.message : cause}`, { cause });
    this.target = target;
    this.seed = seed;
    this.index = index;
    this.input = Buffer.from(input);
  }
}

/** Feeds `runs` inputs to a target, from index `first` on. @throws FuzzFailure at the first that fails */
export async function fuzz(target: FuzzTarget, seed: number, runs: number, first = 0): Promise<FuzzReport> {
  const prepared = target.prepare();
  const outcomes: Record<string, number> = {};
  let slowestMs = 0;
  for (let index = first; index < first + runs; index++) {
    const attempt = prepared.attempt(new Random(seed, index));
    try {
      const started = performance.now();
      const outcome = await attempt.check();
      const took = performance.now() - started;
      slowestMs = Math.max(slowestMs, took);
      if (took > SLOWEST_MS) throw new Error(`took ${Math.round(took)} ms`);
      outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
    } catch (cause) {
      throw new FuzzFailure(target.name, seed, index, attempt.input, cause);
    }
  }
  return { target: target.name, runs, outcomes, slowestMs };
}
