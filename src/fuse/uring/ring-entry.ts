import { Region } from '../../base/linux/native.ts';
import {
  FUSE_URING_OP_IN_OUT_SZ,
  fuse_in_header,
  fuse_out_header,
  fuse_uring_ent_in_out,
  fuse_uring_req_header,
} from '../protocol/abi.ts';
import { iovec } from './io-uring-abi.ts';

/** The headers of an entry have a page of their own; at its end is the header of a reply as a connection builds it. */
const HEADER_PAGE = 4096;
const HEADERS = fuse_uring_req_header;
const PLACE_OF_SIZE = HEADERS.ring_ent_in_out + fuse_uring_ent_in_out.payload_sz;
const PLACE_OF_COMMIT_ID = HEADERS.ring_ent_in_out + fuse_uring_ent_in_out.commit_id;

/**
 * The memory in which the kernel hands over one request at a time, and gets its reply. It is the kernel's from when the
 * entry is submitted until it completes, and this thread's otherwise.
 */
export class RingEntry {
  /** The number of the queue: of the processor whose requests come here. */
  readonly queue: number;
  /** Two structs iovec for the kernel: the headers, and all else. */
  readonly vector: Region;
  /** For a connection: see its `replyMemory`. */
  readonly replyMemory: Region;
  readonly #headers: Region;
  readonly #payload: Region;

  /** @param memory of {@link memoryFor} bytes, from a page boundary on */
  constructor(queue: number, memory: Region) {
    this.queue = queue;
    this.#headers = new Region(memory.bytes.subarray(0, HEADERS.sizeof));
    this.#payload = new Region(memory.bytes.subarray(HEADER_PAGE));
    this.replyMemory = new Region(memory.bytes.subarray(HEADER_PAGE - fuse_out_header.sizeof));
    this.vector = new Region(2 * iovec.sizeof);
    for (const [index, { address, length }] of [this.#headers, this.#payload].entries()) {
      this.vector.view.setBigUint64(index * iovec.sizeof + iovec.iov_base, BigInt(address), true);
      this.vector.view.setBigUint64(index * iovec.sizeof + iovec.iov_len, BigInt(length), true);
    }
  }

  /** Returns how many bytes an entry needs whose replies have up to `capacity` bytes, a multiple of the page size. */
  static memoryFor(capacity: number): number {
    return HEADER_PAGE + capacity;
  }

  /** The number that goes back to the kernel with the reply, in two halves. */
  get commitLow(): number {
    return this.#headers.view.getUint32(PLACE_OF_COMMIT_ID, true);
  }

  get commitHigh(): number {
    return this.#headers.view.getUint32(PLACE_OF_COMMIT_ID + 4, true);
  }

  /**
   * Copies the request that the kernel put here as it would have come from /dev/fuse: header, struct, names and data.
   * @returns its length; 0 when the lengths in it contradict one another, or it does not fit
   */
  copyRequest(to: Region): number {
    const { bytes, view } = this.#headers;
    const length = view.getUint32(HEADERS.in_out + fuse_in_header.len, true);
    const payloadLength = view.getUint32(PLACE_OF_SIZE, true);
    const structLength = length - fuse_in_header.sizeof - payloadLength;
    if (structLength < 0 || structLength > FUSE_URING_OP_IN_OUT_SZ) return 0;
    if (payloadLength > this.#payload.length || length > to.length) return 0;
    bytes.copy(to.bytes, 0, HEADERS.in_out, HEADERS.in_out + fuse_in_header.sizeof);
    bytes.copy(to.bytes, fuse_in_header.sizeof, HEADERS.op_in, HEADERS.op_in + structLength);
    if (payloadLength > 0) this.#payload.bytes.copy(to.bytes, fuse_in_header.sizeof + structLength, 0, payloadLength);
    return length;
  }

  /** Says that the reply is the first `length` bytes of {@link replyMemory}: its header, and what follows. */
  answer(length: number): void {
    const { bytes, view } = this.#headers;
    this.replyMemory.bytes.copy(bytes, HEADERS.in_out, 0, fuse_out_header.sizeof);
    view.setUint32(PLACE_OF_SIZE, length - fuse_out_header.sizeof, true);
  }

  /** Answers with an error, or with 0 a request that has no reply: each needs one here. @param errno 0 or positive */
  answerEmpty(errno: number): void {
    const { view } = this.#headers;
    // The number of the request is at the same place in both headers.
    view.setUint32(HEADERS.in_out + fuse_out_header.len, fuse_out_header.sizeof, true);
    view.setInt32(HEADERS.in_out + fuse_out_header.error, -errno, true);
    view.setUint32(PLACE_OF_SIZE, 0, true);
  }
}
