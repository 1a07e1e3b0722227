/**
 * The layout of the counters of one connection. They are doubles (exact up to 2^53) that only that connection writes,
 * so they can be in memory shared with a thread that reads them.
 */
export const Counter = {
  requests: 0,
  /** Bytes of file contents handed to the kernel. */
  bytesRead: 1,
  /** Unexpected errors reported. */
  faults: 2,
  /** The count of requests with opcode n is at `opcodes + n`, that of unknown opcodes at `opcodes`: no opcode is 0. */
  opcodes: 3,
} as const;

/** Opcodes from this one up are counted as unknown. */
export const COUNTED_OPCODES = 64;

/** The number of doubles. */
export const COUNTER_SLOTS = Counter.opcodes + COUNTED_OPCODES;

/** Adds to a counter. @param slot its place in the layout of {@link Counter} */
export function count(counters: Float64Array, slot: number, amount: number): void {
  counters[slot] = (counters[slot] ?? 0) + amount;
}
