/**
 * Layout of the counters of one connection: doubles (exact up to 2^53), written by that connection only, so that they can
 * lie in memory shared with another thread that reads them.
 */
export const Counter = {
  requests: 0,
  /** Bytes of file contents handed to the kernel. */
  bytesRead: 1,
  /** Faults reported. */
  faults: 2,
  /** The count of requests with opcode n is at `opcodes + n`; that of unknown opcodes at `opcodes`, since 0 is none. */
  opcodes: 3,
} as const;

/** Opcodes from this one up are counted as unknown. */
export const countedOpcodes = 64;

/** Number of doubles. */
export const counterSlots = Counter.opcodes + countedOpcodes;
