import { readdirSync } from 'node:fs';

/** Lists the names in a directory; none when it does not exist or may not be read. */
export function namesIn(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}
