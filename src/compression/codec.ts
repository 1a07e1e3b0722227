import type { Region } from '../base/linux/native.ts';

/** Compresses and decompresses bytes in memory that its caller gives it. It belongs to one thread. */
export interface Codec {
  /**
   * Compresses `length` bytes.
   * @param room bytes that the stream may take
   * @returns the length of the stream, or 0 when there is no room for it
   */
  compress(from: Region, fromOffset: number, length: number, to: Region, toOffset: number, room: number): number;
  /**
   * Decompresses a stream, which may be anything.
   * @param size bytes that it must give; no more are written
   * @returns whether it gave exactly so many, and ended exactly with `length`
   */
  decompress(from: Region, fromOffset: number, length: number, to: Region, toOffset: number, size: number): boolean;
  /** Wipes what it keeps of the bytes that it worked on. It may be used again. */
  wipe(): void;
}
