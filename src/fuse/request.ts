import type { Region } from '../base/native.ts';
import { fuse_in_header } from './abi.ts';
import { type Caller, Errno } from './filesystem.ts';

const nul = 0;
const slash = 0x2f;
/** NAME_MAX and XATTR_NAME_MAX of limits.h. */
const longestName = 255;
/** PATH_MAX of limits.h, without its NUL. */
const longestTarget = 4095;

/** What a number is answered with that no file offset, size or node can have. */
type TooLarge = 'EOVERFLOW' | 'EFBIG' | 'ENXIO';

/**
 * One request of the kernel, read in place. The object is used again for the next request, so that the hot path makes no
 * garbage. No method reads outside the request's own bytes: what does not fit is EINVAL.
 */
export class Request {
  /** What it was read into; {@link data} says where to look. */
  memory: Region;
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
    this.memory = memory;
    this.#bytes = memory.bytes;
    this.#view = memory.view;
  }

  /**
   * Points at the request in the first `length` bytes of `memory` and reads what is needed to answer it at all.
   * @returns false when not even the header is there
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

  /** Reads and checks the rest of the header. Throws EINVAL, or EOVERFLOW for a node number above 2^53. */
  readHeader(): void {
    if (this.#view.getUint32(fuse_in_header.len, true) !== this.#end) throw Errno.of('EINVAL');
    const end = this.#end - this.#view.getUint16(fuse_in_header.total_extlen, true) * 8;
    if (end < fuse_in_header.sizeof) throw Errno.of('EINVAL');
    this.#end = end;
    this.uid = this.#view.getUint32(fuse_in_header.uid, true);
    this.node = this.#exact64(fuse_in_header.nodeid, 'EOVERFLOW');
  }

  /** On whose behalf it is made. */
  caller(): Caller {
    return { uid: this.uid, gid: this.#view.getUint32(fuse_in_header.gid, true) };
  }

  /** The 32-bit number at an offset of the request's body. */
  u32(offset: number): number {
    const at = fuse_in_header.sizeof + offset;
    if (at + 4 > this.#end) throw Errno.of('EINVAL');
    return this.#view.getUint32(at, true);
  }

  /** The 64-bit number at an offset of the request's body. Throws `tooLarge` at and above 2^53. */
  u64(offset: number, tooLarge: TooLarge = 'EOVERFLOW'): number {
    const at = fuse_in_header.sizeof + offset;
    if (at + 8 > this.#end) throw Errno.of('EINVAL');
    return this.#exact64(at, tooLarge);
  }

  /** The same of a signed number. Throws EOVERFLOW at and beyond 2^53 either way. */
  s64(offset: number): number {
    const at = fuse_in_header.sizeof + offset;
    if (at + 8 > this.#end) throw Errno.of('EINVAL');
    const value = this.#view.getInt32(at + 4, true) * 0x1_0000_0000 + this.#view.getUint32(at, true);
    if (!Number.isSafeInteger(value)) throw Errno.of('EOVERFLOW');
    return value;
  }

  /**
   * Where in {@link memory} the data begin that stand at an offset of the body and end the request. Throws EINVAL when they are not
   * `length` bytes.
   */
  data(offset: number, length: number): number {
    const start = fuse_in_header.sizeof + offset;
    if (start + length !== this.#end) throw Errno.of('EINVAL');
    return start;
  }

  /**
   * The name that begins at an offset of the body and ends the request with a NUL. The bytes are the request's own and last
   * only as long as it does. Throws EINVAL, ENAMETOOLONG.
   */
  name(offset: number): Uint8Array {
    return this.#text(offset, this.#end - 1, longestName, slash);
  }

  /** The same of a name with something else behind its NUL. */
  firstName(offset: number): Uint8Array {
    return this.#text(offset, this.#nul(offset), longestName, slash);
  }

  /** The same of an extended attribute, whose name may have a slash. */
  attribute(offset: number): Uint8Array {
    return this.#text(offset, this.#end - 1, longestName, nul);
  }

  /** The same with something else behind its NUL. */
  firstAttribute(offset: number): Uint8Array {
    return this.#text(offset, this.#nul(offset), longestName, nul);
  }

  /** The same of the target of a symbolic link. */
  target(offset: number): Uint8Array {
    return this.#text(offset, this.#end - 1, longestTarget, nul);
  }

  #nul(offset: number): number {
    const start = fuse_in_header.sizeof + offset;
    const length = this.#bytes.subarray(start, this.#end).indexOf(nul);
    return length < 0 ? length : start + length;
  }

  /** At least one byte, none of them NUL or `forbidden`, up to the NUL at `end`. */
  #text(offset: number, end: number, longest: number, forbidden: number): Uint8Array {
    const start = fuse_in_header.sizeof + offset;
    if (end <= start || this.#bytes[end] !== nul) throw Errno.of('EINVAL');
    if (end - start > longest) throw Errno.of('ENAMETOOLONG');
    for (let at = start; at < end; at++) {
      const byte = this.#bytes[at];
      if (byte === nul || byte === forbidden) throw Errno.of('EINVAL');
    }
    return this.#bytes.subarray(start, end);
  }

  #exact64(at: number, tooLarge: TooLarge): number {
    const high = this.#view.getUint32(at + 4, true);
    if (high > 0x1fffff) throw Errno.of(tooLarge);
    const low = this.#view.getUint32(at, true);
    // Most are small: V8 then goes on with a small integer, and not with a floating-point number.
    return high === 0 ? low : high * 0x1_0000_0000 + low;
  }
}
