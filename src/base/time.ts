/** A point in time, as inodes have it. */
export interface Time {
  /** Since 1970; may be negative, but is always between -2^53 and 2^53. */
  readonly seconds: number;
  /** Below 10^9. */
  readonly nanoseconds: number;
}

/** Converts the time of a clock, in milliseconds since 1970. */
export function timeAt(milliseconds: number): Time {
  const seconds = Math.floor(milliseconds / 1000);
  return { seconds, nanoseconds: Math.floor((milliseconds - seconds * 1000) * 1e6) };
}
