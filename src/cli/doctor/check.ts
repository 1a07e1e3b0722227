/** The result of one examination. */
export interface Finding {
  /** `missing`: mounting cannot work. `warn`: it works, but something is worse than it might be. */
  readonly level: 'ok' | 'warn' | 'missing';
  /** What was looked at: `/dev/fuse`, `criu`. */
  readonly subject: string;
  readonly found: string;
  /** How to get it, or what to do. */
  readonly advice?: string;
}

export function ok(subject: string, found: string): Finding {
  return { level: 'ok', subject, found };
}

export function warn(subject: string, found: string, advice: string): Finding {
  return { level: 'warn', subject, found, advice };
}

export function missing(subject: string, found: string, advice: string): Finding {
  return { level: 'missing', subject, found, advice };
}
