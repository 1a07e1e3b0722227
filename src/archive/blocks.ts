/** An archive is made of blocks of so many bytes (POSIX.1-2017, pax, "ustar Interchange Format"). */
export const BLOCK_SIZE = 512;

/** Returns how many bytes follow `size` bytes up to the end of their last block. */
export function paddingOf(size: number): number {
  return (BLOCK_SIZE - (size % BLOCK_SIZE)) % BLOCK_SIZE;
}

export function isZero(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0);
}
