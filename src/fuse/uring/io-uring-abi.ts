/**
 * io_uring as the kernel's include/uapi/linux/io_uring.h (MIT alternative) defines it, as far as it is used here: the
 * constants, and for each struct the byte offsets of its fields, under the names of that header. All integers are
 * little-endian.
 */

/** Entries of 128 bytes: those of FUSE do not fit into 64. */
export const IORING_SETUP_SQE128 = 1 << 10;
/** Only one thread uses the ring, and the kernel completes entries only when that thread asks: no interruptions. */
export const IORING_SETUP_SINGLE_ISSUER = 1 << 12;
export const IORING_SETUP_DEFER_TASKRUN = 1 << 13;

export const IORING_FEAT_SINGLE_MMAP = 1 << 0;

/** Offsets for mmap(2) of a ring's descriptor. */
export const IORING_OFF_SQ_RING = 0;
export const IORING_OFF_SQES = 0x10000000;

export const IORING_ENTER_GETEVENTS = 1 << 0;

export const IORING_OP_POLL_ADD = 6;
export const IORING_OP_URING_CMD = 46;

/** From poll.h. */
export const POLLIN = 1;

export const io_uring_params = {
  sq_entries: 0,
  cq_entries: 4,
  flags: 8,
  features: 20,
  sq_off: 40,
  cq_off: 80,
  sizeof: 120,
} as const;

/** The places of the fields in the mapped memory. */
export const io_sqring_offsets = { tail: 4, array: 24 } as const;
export const io_cqring_offsets = { head: 0, tail: 4, cqes: 20 } as const;

/** With IORING_SETUP_SQE128. `cmd` is up to 80 bytes for the command of a device. */
export const io_uring_sqe = {
  opcode: 0,
  fd: 4,
  cmd_op: 8,
  addr: 16,
  len: 24,
  poll32_events: 28,
  user_data: 32,
  cmd: 48,
  sizeof: 128,
} as const;

export const io_uring_cqe = { user_data: 0, res: 8, sizeof: 16 } as const;

/** From sys/uio.h. */
export const iovec = { iov_base: 0, iov_len: 8, sizeof: 16 } as const;
