import { Region } from '../base/native.ts';
import { fuse_in_header, fuse_out_header, fuse_read_in, Opcode } from '../fuse/abi.ts';
import { Connection } from '../fuse/connection.ts';
import type { FileSystem } from '../fuse/filesystem.ts';
import type { Image } from '../image/image.ts';

/** Enough for V8 to have compiled all of the way from a request to its bytes. */
const STEPS = 160;
/** Bytes of one step, read at once: short enough that a request that comes meanwhile hardly waits (about 0.1 ms). */
const RUN = 256 << 10;
const PART = 4096;

/**
 * Reads of an image that nobody asked for, while nobody asks: its first pages, again and again, so that V8 compiles the code that reads
 * before a client needs it. Each thread has its own. They come as requests of the kernel would, since V8 would compile once more for
 * numbers of another form.
 */
export class Rehearsal {
  readonly #connection: Connection;
  readonly #request = new Region(fuse_in_header.sizeof + fuse_read_in.sizeof);
  readonly #size: number;
  #step = 0;

  /** @param fileSystem the image, with caches and counters of its own: what is read here must not show elsewhere */
  constructor(image: Image, fileSystem: FileSystem) {
    this.#connection = new Connection(fileSystem, { maxTransfer: RUN });
    const { inodes } = image.manifest;
    const node = 1 + inodes.reduce((best, _, at) => (fileSize(inodes, at) > fileSize(inodes, best) ? at : best), 0);
    this.#size = fileSize(inodes, node - 1);
    const { view, length } = this.#request;
    view.setUint32(fuse_in_header.len, length, true);
    view.setUint32(fuse_in_header.opcode, Opcode.FUSE_READ, true);
    view.setUint32(fuse_in_header.nodeid, node, true);
  }

  /** Goes on a little. Returns false when there is no more to do, or what it reads is damaged: that is told to whoever asks for it. */
  step(): boolean {
    this.#step += 1;
    const goesOn = this.#step <= STEPS && this.#read(0, RUN) && this.#read((this.#step * PART) % RUN, PART);
    if (!goesOn) this.#connection.wipe();
    return goesOn;
  }

  #read(offset: number, length: number): boolean {
    if (offset >= this.#size) return this.#size > 0;
    const { view } = this.#request;
    view.setUint32(fuse_in_header.sizeof + fuse_read_in.offset, offset, true);
    view.setUint32(fuse_in_header.sizeof + fuse_read_in.size, length, true);
    this.#connection.handle(this.#request, this.#request.length);
    return this.#connection.reply.view.getInt32(fuse_out_header.error, true) === 0;
  }
}

function fileSize(inodes: Image['manifest']['inodes'], at: number): number {
  const inode = inodes[at];
  return inode?.type === 'file' ? inode.size : 0;
}
