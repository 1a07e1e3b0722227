import { readFileSync } from 'node:fs';

/** Returns the first error in a log of criu, without its time and place; undefined when there is none. */
export function firstErrorIn(log: string): string | undefined {
  let lines: string[];
  try {
    lines = readFileSync(log, 'utf8').split('\n');
  } catch {
    return undefined;
  }
  // CRIU always tries to raise that limit, and goes on where it may not.
  const error = lines.find((line) => line.includes('Error') && !line.includes('RLIMIT_NOFILE'));
  return error?.replace(/^\([0-9.]*\) */, '').trim();
}
