import { Readable } from 'node:stream';
import { CkptfsError } from '../base/errors.ts';
import { Region } from '../base/linux/native.ts';
import { PACKED_BLOCK_SIZE, packBlock } from '../format/packed-part.ts';
import type { FilePart } from '../format/remote-index.ts';
import type { Store } from '../stores/store.ts';

/** A file of an image on this host, as it is sent. */
export interface LocalFile {
  /** As in the index. */
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  open(): LocalReader;
}

export interface LocalReader {
  /** Reads all of a range into memory, from its start. @throws CkptfsError `source-changed`, `io` */
  read(to: Region, length: number, position: number): void;
  close(): void;
}

/** Returns a part of a file, packed, as a stream. It fails with `source-changed` rather than have another size. */
export function packedStream(file: LocalFile, part: FilePart): Readable {
  return Readable.from(packedBlocks(file, part), { objectMode: false });
}

function* packedBlocks(file: LocalFile, { start, length, size }: FilePart): Generator<Buffer> {
  const reader = file.open();
  const block = new Region(Math.min(PACKED_BLOCK_SIZE, length));
  let left = size;
  try {
    for (let at = 0; at < length; at += block.length) {
      const count = Math.min(block.length, length - at);
      reader.read(block, count, start + at);
      // Each has memory of its own, since it is not known when the last one was sent.
      const packed = packBlock(block.bytes.subarray(0, count));
      left -= packed.length;
      const isLast = at + count === length;
      // A server would take bytes past the announced ones for another request.
      if (left < 0 || (isLast && left > 0)) throw new CkptfsError('source-changed', `${file.name} was changed`);
      yield packed;
    }
  } finally {
    reader.close();
  }
}

/** A file that was read whole. */
export class NamedBytes implements LocalFile {
  readonly name: string;
  readonly #bytes: Buffer;

  constructor(name: string, bytes: Buffer) {
    this.name = name;
    this.#bytes = bytes;
  }

  get size(): number {
    return this.#bytes.length;
  }

  open(): LocalReader {
    return {
      read: (to, length, position) => void this.#bytes.copy(to.bytes, 0, position, position + length),
      close: () => undefined,
    };
  }
}

/** An object, which has the size that it had when it was looked at first. */
export class ObjectFile implements LocalFile {
  readonly name: string;
  readonly size: number;
  readonly #store: Store;
  readonly #id: string;

  /** @throws CkptfsError `damaged`, `io` */
  constructor(name: string, store: Store, id: string) {
    this.name = name;
    this.#store = store;
    this.#id = id;
    const object = store.openObject(id);
    this.size = object.size;
    object.close();
  }

  open(): LocalReader {
    const object = this.#store.openObject(this.#id);
    return {
      read: (to, length, position) => {
        if (object.read(to, 0, length, position) === length) return;
        throw new CkptfsError('source-changed', `${this.#store.location}/${this.name} became shorter`);
      },
      close: () => object.close(),
    };
  }
}
