/** Overwrites memory that held a key or plaintext with zeros. The one place that does, so that it can be found. */
export function wipe(bytes: Uint8Array): void {
  bytes.fill(0);
}
