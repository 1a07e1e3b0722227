/**
 * Allocates zeroed memory for key bytes where a Secret's shared memory is not accepted. V8 keeps an array of up to 64
 * bytes that is made by length inside its heap, and copies it when the heap is compacted. Over an ArrayBuffer of its
 * own an array is never in the heap, so wiping it wipes the only copy.
 */
export function offHeap(length: number): Buffer<ArrayBuffer> {
  return Buffer.from(new ArrayBuffer(length));
}
