/** A point in time, as inodes have it. */
export interface Time {
  /** Since 1970; may be negative. */
  readonly seconds: number;
  /** Below 10^9. */
  readonly nanoseconds: number;
}

/** Converts what a clock shows, in milliseconds since 1970. */
export function timeAt(milliseconds: number): Time {
  const seconds = Math.floor(milliseconds / 1000);
  return { seconds, nanoseconds: Math.floor((milliseconds - seconds * 1000) * 1e6) };
}
