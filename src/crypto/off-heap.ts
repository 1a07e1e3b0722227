/**
 * Zeroed memory for key bytes where a Secret's shared memory is not accepted. V8 keeps arrays of up to 64 bytes made by length
 * inside its heap, and leaves copies behind when it moves them; over an ArrayBuffer of their own they never lie there, and
 * wiping wipes the only copy.
 */
export function offHeap(length: number): Buffer<ArrayBuffer> {
  return Buffer.from(new ArrayBuffer(length));
}
