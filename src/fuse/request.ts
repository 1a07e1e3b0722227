import type { Region } from '../base/native.ts';
import { fuse_in_header } from './abi.ts';
import { Errno } from './filesystem.ts';

const slash = 0x2f;
/** NAME_MAX and XATTR_NAME_MAX of limits.h. */
const longestName = 255;

/**
 * One request of the kernel, read in place. The object is used again for the next request, so that the hot path makes no
 * garbage. No method reads outside the request's own bytes: what does not fit is EINVAL.
 */
export class Request {
  opcode = 0;
  /** The node the request is about; 0 for requests about none. */
  node = 0;
  uid = 0;
  uniqueLow = 0;
  uniqueHigh = 0;

  #bytes: Uint8Array;
  #view: DataView;
  #end = 0;

  constructor(memory: Region) {
    this.#bytes = memory.bytes;
    this.#view = memory.view;
  }

  /**
   * Points at the request in the first `length` bytes of `memory` and reads what is needed to answer it at all.
   * @returns false when not even the header is there
   */
  open(memory: Region, length: number): boolean {
    if (length < fuse_in_header.sizeof || length > memory.length) return false;
    this.#bytes = memory.bytes;
    this.#view = memory.view;
    this.#end = length;
    this.opcode = this.#view.getUint32(fuse_in_header.opcode, true);
    this.uniqueLow = this.#view.getUint32(fuse_in_header.unique, true);
    this.uniqueHigh = this.#view.getUint32(fuse_in_header.unique + 4, true);
    this.node = 0;
    return true;
  }

  /** Reads and checks the rest of the header. Throws EINVAL, or EOVERFLOW for a node number above 2^53. */
  readHeader(): void {
    if (this.#view.getUint32(fuse_in_header.len, true) !== this.#end) throw Errno.of('EINVAL');
    const end = this.#end - this.#view.getUint16(fuse_in_header.total_extlen, true) * 8;
    if (end < fuse_in_header.sizeof) throw Errno.of('EINVAL');
    this.#end = end;
    this.uid = this.#view.getUint32(fuse_in_header.uid, true);
    this.node = this.#exact64(fuse_in_header.nodeid);
  }

  /** The 32-bit number at an offset of the request's body. */
  u32(offset: number): number {
    const at = fuse_in_header.sizeof + offset;
    if (at + 4 > this.#end) throw Errno.of('EINVAL');
    return this.#view.getUint32(at, true);
  }

  /** The 64-bit number at an offset of the request's body. Throws EOVERFLOW above 2^53. */
  u64(offset: number): number {
    const at = fuse_in_header.sizeof + offset;
    if (at + 8 > this.#end) throw Errno.of('EINVAL');
    return this.#exact64(at);
  }

  /**
   * The name that begins at an offset of the body and ends the request with a NUL. The bytes are the request's own and last
   * only as long as it does. Throws EINVAL, ENAMETOOLONG.
   */
  name(offset: number): Uint8Array {
    const start = fuse_in_header.sizeof + offset;
    const end = this.#end - 1;
    if (end <= start || this.#bytes[end] !== 0) throw Errno.of('EINVAL');
    if (end - start > longestName) throw Errno.of('ENAMETOOLONG');
    for (let at = start; at < end; at++) {
      const byte = this.#bytes[at];
      if (byte === 0 || byte === slash) throw Errno.of('EINVAL');
    }
    return this.#bytes.subarray(start, end);
  }

  #exact64(at: number): number {
    const high = this.#view.getUint32(at + 4, true);
    if (high > 0x1fffff) throw Errno.of('EOVERFLOW');
    const low = this.#view.getUint32(at, true);
    // Most are small: V8 then goes on with a small integer, and not with a floating-point number.
    return high === 0 ? low : high * 0x1_0000_0000 + low;
  }
}
