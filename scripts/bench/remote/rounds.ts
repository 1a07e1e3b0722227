import { median } from '../statistics.ts';

/** The values of each round, by the name of what was measured. */
export type Rounds<T> = ReadonlyMap<string, readonly T[]>;

/**
 * Measures all `ways` by turns, so that other work of the machine meets all alike. The first round does not count:
 * it loads programs and libraries. A way that fails is left out of further rounds, and said.
 */
export async function rounds<Way extends { readonly name: string }, T>(
  count: number,
  ways: readonly Way[],
  measure: (way: Way) => Promise<T>,
): Promise<Rounds<T>> {
  const values = new Map<string, T[]>(ways.map(({ name }) => [name, []]));
  for (let round = 0; round <= count; round++) {
    for (const way of ways.filter(({ name }) => values.has(name))) {
      try {
        const value = await measure(way);
        if (round > 0) values.get(way.name)?.push(value);
      } catch (error) {
        values.delete(way.name);
        process.stderr.write(`left out: ${way.name}: ${error instanceof Error ? error.message : String(error)}\n`);
      }
    }
  }
  return values;
}

/** The median of one figure of each way that was measured. */
export function medians<T>(values: Rounds<T>, figure: (value: T) => number): ReadonlyMap<string, number> {
  return new Map([...values].map(([name, each]) => [name, median(each.map(figure))]));
}
