import { FUSE_IO_URING_CMD_COMMIT_AND_FETCH, FUSE_IO_URING_CMD_REGISTER, fuse_uring_cmd_req } from '../protocol/abi.ts';
import { IORING_OP_POLL_ADD, IORING_OP_URING_CMD, io_uring_sqe, POLLIN } from './io-uring-abi.ts';
import type { RingEntry } from './ring-entry.ts';

/** Fills entries to be submitted, in memory that is zeros: `at` is where the entry begins. */

/** Offers the memory of a ring's entry to the kernel, to be completed when it holds a request. */
export function fillRegister(
  to: DataView,
  at: number,
  fd: number,
  { queue, vector }: Pick<RingEntry, 'queue' | 'vector'>,
  userData: number,
): void {
  fillCommand(to, at, fd, FUSE_IO_URING_CMD_REGISTER, queue, userData);
  to.setBigUint64(at + io_uring_sqe.addr, BigInt(vector.address), true);
  to.setUint32(at + io_uring_sqe.len, 2, true);
}

/** Hands over the reply in an entry's memory, to be completed when it holds the next request. */
export function fillCommit(to: DataView, at: number, fd: number, entry: RingEntry, userData: number): void {
  fillCommand(to, at, fd, FUSE_IO_URING_CMD_COMMIT_AND_FETCH, entry.queue, userData);
  to.setUint32(at + io_uring_sqe.cmd + fuse_uring_cmd_req.commit_id, entry.commitLow, true);
  to.setUint32(at + io_uring_sqe.cmd + fuse_uring_cmd_req.commit_id + 4, entry.commitHigh, true);
}

/** Waits, once, until something can be read from a descriptor. */
export function fillPoll(to: DataView, at: number, fd: number, userData: number): void {
  to.setUint8(at + io_uring_sqe.opcode, IORING_OP_POLL_ADD);
  to.setInt32(at + io_uring_sqe.fd, fd, true);
  to.setUint32(at + io_uring_sqe.poll32_events, POLLIN, true);
  to.setUint32(at + io_uring_sqe.user_data, userData, true);
}

function fillCommand(to: DataView, at: number, fd: number, command: number, queue: number, userData: number): void {
  to.setUint8(at + io_uring_sqe.opcode, IORING_OP_URING_CMD);
  to.setInt32(at + io_uring_sqe.fd, fd, true);
  to.setUint32(at + io_uring_sqe.cmd_op, command, true);
  to.setUint32(at + io_uring_sqe.user_data, userData, true);
  to.setUint16(at + io_uring_sqe.cmd + fuse_uring_cmd_req.qid, queue, true);
}
