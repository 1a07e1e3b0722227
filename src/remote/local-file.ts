import { Readable } from 'node:stream';
import { CkptfsError } from '../base/errors.ts';
import { Region } from '../base/linux/native.ts';
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

const STEP_BYTES = 262_144;

/** Returns the bytes of a range of a file as a stream. */
export function streamOf(file: LocalFile, start: number, end: number): Readable {
  return Readable.from(chunksOf(file, start, end), { objectMode: false });
}

function* chunksOf(file: LocalFile, start: number, end: number): Generator<Buffer> {
  const reader = file.open();
  try {
    for (let at = start; at < end; ) {
      // Each has memory of its own, since it is not known when the last one was sent.
      const chunk = new Region(Math.min(STEP_BYTES, end - at));
      reader.read(chunk, chunk.length, at);
      at += chunk.length;
      yield chunk.bytes;
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
