import { Region } from '../../base/linux/native.ts';
import { fuse_attr, fuse_attr_out, fuse_entry_out, fuse_out_header } from './abi.ts';
import type { Attributes } from './filesystem.ts';
import type { PiecedReply } from './read-ahead.ts';

const PAGE_SIZE = 4096;

/** More than a read of blocks needs. */
const MAX_PIECES = 32;
const SIZE_OF_IOVEC = 16;

/**
 * Builds replies: a header, then a body. The body begins on a page boundary, so that the kernel copies the data of a
 * READ page by page. A reply overwrites the one before, and every method writes all bytes of what it names, so no byte
 * of an earlier reply is ever sent. Offsets are relative to the body.
 *
 * The body may also be made of pieces that lie elsewhere; then {@link vector} has what is to be sent.
 */
export class Reply implements PiecedReply {
  /** The header and the body, for write(2). */
  readonly memory: Region;
  /** Where the body begins in {@link memory}. */
  readonly bodyOffset = fuse_out_header.sizeof;
  /** The most bytes in a body. */
  readonly capacity: number;

  readonly #view: DataView;
  /** Structs iovec: the header, then the pieces. */
  readonly #vector = new Region(SIZE_OF_IOVEC * (1 + MAX_PIECES));
  #pieces = 0;

  /**
   * @param place the most bytes of a body, a multiple of the page size; or memory that a header fits into just before a
   *   page boundary, and a body from there on
   */
  constructor(place: number | Region) {
    this.memory = typeof place === 'number' ? Reply.#memoryFor(place) : place;
    this.capacity = this.memory.length - fuse_out_header.sizeof;
    this.#view = this.memory.view;
    this.#setVector(0, this.memory.address, fuse_out_header.sizeof);
  }

  static #memoryFor(capacity: number): Region {
    const whole = new Region(capacity + 2 * PAGE_SIZE);
    const body = PAGE_SIZE + ((PAGE_SIZE - (whole.address % PAGE_SIZE)) % PAGE_SIZE);
    return new Region(whole.bytes.subarray(body - fuse_out_header.sizeof, body + capacity));
  }

  /** How many structs iovec are at {@link vector}; 0 when the reply is all in {@link memory}. */
  get vectorLength(): number {
    return this.#pieces === 0 ? 0 : 1 + this.#pieces;
  }

  /** The address of the structs iovec, for writev(2). */
  get vector(): number {
    return this.#vector.address;
  }

  /** Begins a reply without pieces. */
  begin(): void {
    this.#pieces = 0;
  }

  piece(address: number, length: number): void {
    if (this.#pieces === MAX_PIECES) throw new RangeError(`a reply of more than ${MAX_PIECES} pieces`);
    this.#setVector(++this.#pieces, address, length);
  }

  /**
   * Writes the header of a reply whose body has `bodyLength` bytes; `errno` is 0 or positive. Returns the whole length.
   */
  finish(errno: number, uniqueLow: number, uniqueHigh: number, bodyLength: number): number {
    const length = fuse_out_header.sizeof + bodyLength;
    this.#view.setUint32(fuse_out_header.len, length, true);
    this.#view.setInt32(fuse_out_header.error, -errno, true);
    this.#view.setUint32(fuse_out_header.unique, uniqueLow, true);
    this.#view.setUint32(fuse_out_header.unique + 4, uniqueHigh, true);
    return length;
  }

  #setVector(index: number, address: number, length: number): void {
    const at = index * SIZE_OF_IOVEC;
    this.#vector.view.setUint32(at, address, true);
    this.#vector.view.setUint32(at + 4, Math.floor(address / 0x1_0000_0000), true);
    this.#vector.view.setUint32(at + 8, length, true);
    this.#vector.view.setUint32(at + 12, 0, true);
  }

  u16(at: number, value: number): void {
    this.#view.setUint16(this.bodyOffset + at, value, true);
  }

  u32(at: number, value: number): void {
    this.#view.setUint32(this.bodyOffset + at, value, true);
  }

  /** Writes an integer of at most 53 bits; a negative one in two's complement. */
  u64(at: number, value: number): void {
    this.#view.setUint32(this.bodyOffset + at, value, true);
    this.#view.setUint32(this.bodyOffset + at + 4, Math.floor(value / 0x1_0000_0000), true);
  }

  bytes(at: number, bytes: Uint8Array): void {
    this.memory.bytes.set(bytes, this.bodyOffset + at);
  }

  zeros(at: number, length: number): void {
    this.memory.bytes.fill(0, this.bodyOffset + at, this.bodyOffset + at + length); // not secret: a field of a reply
  }

  /** Writes struct fuse_entry_out of a node found under a name. Returns the struct's size. */
  entry(at: number, attributes: Attributes, validSeconds: number): number {
    this.u64(at + fuse_entry_out.nodeid, attributes.node);
    this.u64(at + fuse_entry_out.generation, 0);
    this.u64(at + fuse_entry_out.entry_valid, validSeconds);
    this.u64(at + fuse_entry_out.attr_valid, validSeconds);
    this.u64(at + fuse_entry_out.entry_valid_nsec, 0);
    this.attributes(at + fuse_entry_out.attr, attributes);
    return fuse_entry_out.sizeof;
  }

  /** Writes struct fuse_entry_out of a name that does not exist, for the kernel to cache. Returns the struct's size. */
  negativeEntry(at: number, validSeconds: number): number {
    this.zeros(at, fuse_entry_out.sizeof);
    this.u64(at + fuse_entry_out.entry_valid, validSeconds);
    return fuse_entry_out.sizeof;
  }

  /** Writes struct fuse_attr_out. Returns its size. */
  attributesOut(at: number, attributes: Attributes, validSeconds: number): number {
    this.u64(at + fuse_attr_out.attr_valid, validSeconds);
    this.u64(at + fuse_attr_out.attr_valid_nsec, 0);
    this.attributes(at + fuse_attr_out.attr, attributes);
    return fuse_attr_out.sizeof;
  }

  /** Writes struct fuse_attr. */
  attributes(at: number, attributes: Attributes): void {
    this.u64(at + fuse_attr.ino, attributes.node);
    this.u64(at + fuse_attr.size, attributes.size);
    this.u64(at + fuse_attr.blocks, attributes.blocks);
    this.u64(at + fuse_attr.atime, attributes.atime.seconds);
    this.u64(at + fuse_attr.mtime, attributes.mtime.seconds);
    this.u64(at + fuse_attr.ctime, attributes.ctime.seconds);
    this.u32(at + fuse_attr.atimensec, attributes.atime.nanoseconds);
    this.u32(at + fuse_attr.mtimensec, attributes.mtime.nanoseconds);
    this.u32(at + fuse_attr.ctimensec, attributes.ctime.nanoseconds);
    this.u32(at + fuse_attr.mode, attributes.mode);
    this.u32(at + fuse_attr.nlink, attributes.links);
    this.u32(at + fuse_attr.uid, attributes.uid);
    this.u32(at + fuse_attr.gid, attributes.gid);
    this.u32(at + fuse_attr.rdev, 0);
    this.u32(at + fuse_attr.blksize, PAGE_SIZE);
    this.u32(at + fuse_attr.flags, 0);
  }
}
