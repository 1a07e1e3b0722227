/**
 * Overwrites memory that held a key or plaintext with zeros. Nothing else does, so that each such place can be found:
 * `scripts/check-places.ts` fails on any other `fill(0)` that does not say `// not secret`, and why.
 */
export function wipe(bytes: Uint8Array, start = 0, end = bytes.length): void {
  bytes.fill(0, start, end);
}
