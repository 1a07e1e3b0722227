/** @throws RangeError when there is nothing to take it of */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const upper = sorted[Math.floor(sorted.length / 2)];
  const lower = sorted[Math.floor((sorted.length - 1) / 2)];
  if (upper === undefined || lower === undefined) throw new RangeError('the median of nothing');
  return (lower + upper) / 2;
}

export interface Summary {
  readonly median: number;
  readonly least: number;
  readonly greatest: number;
}

/** @throws RangeError when there are no values */
export function summarize(values: readonly number[]): Summary {
  return { median: median(values), least: Math.min(...values), greatest: Math.max(...values) };
}

/** Rounds to a number of significant digits, so that records stay short. */
export function toSignificant(value: number, digits: number): number {
  return Number(value.toPrecision(digits));
}
