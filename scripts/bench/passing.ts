import type { Competitor } from './scenario.ts';

/** Keeps what one scenario measures in passing: it is what the next ones report. */
export class Passing<T> {
  readonly #values = new Map<string, T>();

  /** Makes the competitors of the scenario that measures, and reports one part of what it measures. */
  measuring(ways: readonly Way<T>[], part: (value: T) => number): Competitor[] {
    return ways.map((way) => ({
      name: way.name,
      verify: async () => way.verify?.(),
      measure: async (round) => {
        const value = await way.measure();
        this.#values.set(`${way.name}, round ${round}`, value);
        return part(value);
      },
    }));
  }

  /** Makes the competitors of a scenario that reports another part. */
  reporting(ways: readonly Way<T>[], part: (value: T) => number): Competitor[] {
    return ways.map(({ name }) => ({
      name,
      measure: async (round) => {
        const value = this.#values.get(`${name}, round ${round}`);
        if (value === undefined) throw new Error('it was not measured');
        return part(value);
      },
    }));
  }
}

/** A competitor that measures several things at once. */
export interface Way<T> {
  readonly name: string;
  /** As of a {@link Competitor}. */
  verify?(): Promise<void>;
  measure(): Promise<T>;
}
