/** A point in time, for inodes. */
export interface Time {
  /** Since 1970; may be negative. */
  readonly seconds: number;
  /** Below 10^9. */
  readonly nanoseconds: number;
}

/** Converts the time of a clock, in milliseconds since 1970. */
export function timeAt(milliseconds: number): Time {
  const seconds = Math.floor(milliseconds / 1000);
  return { seconds, nanoseconds: Math.floor((milliseconds - seconds * 1000) * 1e6) };
}
