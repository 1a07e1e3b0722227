import { Errno } from '../../base/errno.ts';
import type { Region } from '../../base/linux/native.ts';
import { MAX_NAME_LENGTH, MAX_TARGET_LENGTH } from '../../base/names.ts';
import { fuse_in_header } from './abi.ts';
import type { Caller } from './filesystem.ts';

const NUL = 0;
const SLASH = 0x2f;

/** The answer to a number that is too large for a file offset, a size or a node. */
type TooLarge = 'EOVERFLOW' | 'EFBIG' | 'ENXIO';

/**
 * Reads one request of the kernel in place. The object is reused for the next request, so that the hot path allocates
 * nothing. No method reads outside the request's own bytes: a field that does not fit is EINVAL.
 */
export class Request {
  /** The memory that holds the request; {@link data} returns offsets into it. */
  memory: Region;
  opcode = 0;
  /** The node that the request is about; 0 when it is about no node. */
  node = 0;
  uid = 0;
  uniqueLow = 0;
  uniqueHigh = 0;

  #bytes: Uint8Array;
  #view: DataView;
  #end = 0;

  constructor(memory: Region) {
    this.memory = memory;
    this.#bytes = memory.bytes;
    this.#view = memory.view;
  }

  /**
   * Takes the request in the first `length` bytes of `memory` and reads the fields that any answer needs.
   * @returns false when it is shorter than a header
   */
  open(memory: Region, length: number): boolean {
    if (length < fuse_in_header.sizeof || length > memory.length) return false;
    this.memory = memory;
    this.#bytes = memory.bytes;
    this.#view = memory.view;
    this.#end = length;
    this.opcode = this.#view.getUint32(fuse_in_header.opcode, true);
    this.uniqueLow = this.#view.getUint32(fuse_in_header.unique, true);
    this.uniqueHigh = this.#view.getUint32(fuse_in_header.unique + 4, true);
    this.node = 0;
    return true;
  }

  /** Reads and checks the rest of the header. @throws Errno EINVAL; EOVERFLOW for a node number of 2^53 or more */
  readHeader(): void {
    if (this.#view.getUint32(fuse_in_header.len, true) !== this.#end) throw Errno.of('EINVAL');
    const end = this.#end - this.#view.getUint16(fuse_in_header.total_extlen, true) * 8;
    if (end < fuse_in_header.sizeof) throw Errno.of('EINVAL');
    this.#end = end;
    this.uid = this.#view.getUint32(fuse_in_header.uid, true);
    this.node = this.#exact64(fuse_in_header.nodeid, 'EOVERFLOW');
  }

  /** Returns the user and group on whose behalf the request is made. */
  caller(): Caller {
    return { uid: this.uid, gid: this.#view.getUint32(fuse_in_header.gid, true) };
  }

  /** Returns the thread that made the request, as the pid namespace of the mount counts; 0 where it has no number. */
  thread(): number {
    return this.#view.getUint32(fuse_in_header.pid, true);
  }

  /** Reads the 32-bit number at an offset of the request's body. */
  u32(offset: number): number {
    const at = fuse_in_header.sizeof + offset;
    if (at + 4 > this.#end) throw Errno.of('EINVAL');
    return this.#view.getUint32(at, true);
  }

  /** Reads the 64-bit number at an offset of the request's body. @throws Errno `tooLarge` for 2^53 and more */
  u64(offset: number, tooLarge: TooLarge = 'EOVERFLOW'): number {
    const at = fuse_in_header.sizeof + offset;
    if (at + 8 > this.#end) throw Errno.of('EINVAL');
    return this.#exact64(at, tooLarge);
  }

  /** Like {@link u64}, but for a signed number. @throws Errno EOVERFLOW for 2^53 and more, and for -2^53 and less */
  s64(offset: number): number {
    const at = fuse_in_header.sizeof + offset;
    if (at + 8 > this.#end) throw Errno.of('EINVAL');
    const value = this.#view.getInt32(at + 4, true) * 0x1_0000_0000 + this.#view.getUint32(at, true);
    if (!Number.isSafeInteger(value)) throw Errno.of('EOVERFLOW');
    return value;
  }

  /**
   * Returns the offset in {@link memory} of the data that begins at an offset of the body and ends with the request.
   * @throws Errno EINVAL when it does not have `length` bytes
   */
  data(offset: number, length: number): number {
    const start = fuse_in_header.sizeof + offset;
    if (start + length !== this.#end) throw Errno.of('EINVAL');
    return start;
  }

  /**
   * Returns the name that begins at an offset of the body and whose NUL ends the request. The bytes are part of the
   * request, and valid only as long as it is.
   * @throws Errno EINVAL, ENAMETOOLONG
   */
  name(offset: number): Uint8Array {
    return this.#text(offset, this.#end - 1, MAX_NAME_LENGTH, SLASH);
  }

  /** Like {@link name}, but for a request in which more data follows the name. */
  firstName(offset: number): Uint8Array {
    return this.#text(offset, this.#nul(offset), MAX_NAME_LENGTH, SLASH);
  }

  /** Like {@link name}, but for the name of an extended attribute, which may have a SLASH. */
  attribute(offset: number): Uint8Array {
    return this.#text(offset, this.#end - 1, MAX_NAME_LENGTH, NUL);
  }

  /** Like {@link attribute}, but for a request in which more data follows the name. */
  firstAttribute(offset: number): Uint8Array {
    return this.#text(offset, this.#nul(offset), MAX_NAME_LENGTH, NUL);
  }

  /** Like {@link name}, but for the target of a symbolic link. */
  target(offset: number): Uint8Array {
    return this.#text(offset, this.#end - 1, MAX_TARGET_LENGTH, NUL);
  }

  #nul(offset: number): number {
    const start = fuse_in_header.sizeof + offset;
    const length = this.#bytes.subarray(start, this.#end).indexOf(NUL);
    return length < 0 ? length : start + length;
  }

  /** Returns the bytes up to the NUL at `end`: at least one, none of them NUL or `forbidden`. */
  #text(offset: number, end: number, longest: number, forbidden: number): Uint8Array {
    const start = fuse_in_header.sizeof + offset;
    if (end <= start || this.#bytes[end] !== NUL) throw Errno.of('EINVAL');
    if (end - start > longest) throw Errno.of('ENAMETOOLONG');
    for (let at = start; at < end; at++) {
      const byte = this.#bytes[at];
      if (byte === NUL || byte === forbidden) throw Errno.of('EINVAL');
    }
    return this.#bytes.subarray(start, end);
  }

  #exact64(at: number, tooLarge: TooLarge): number {
    const high = this.#view.getUint32(at + 4, true);
    if (high > 0x1fffff) throw Errno.of(tooLarge);
    const low = this.#view.getUint32(at, true);
    // Most numbers are small, and V8 then computes with a small integer, not with a floating-point number.
    return high === 0 ? low : high * 0x1_0000_0000 + low;
  }
}
