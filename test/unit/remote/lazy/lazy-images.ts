import { createHash } from 'node:crypto';
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { socketPair } from '../../../../src/base/linux/sockets.ts';
import { setBlockEntry } from '../../../../src/format/block-table.ts';
import { packPart } from '../../../../src/format/packed-part.ts';
import { BLOCK_ENTRY_SIZE, encodeRemoteIndex, objectFileName } from '../../../../src/format/remote-index.ts';
import type { LazyPlace } from '../../../../src/remote/lazy/lazy-store.ts';

export const URL = 's3://bucket/image';
export const OBJECT = 'ab'.repeat(16);
const PART_SIZE = 4096;

const digestOf = (packed: Buffer): Buffer => createHash('sha256').update(packed).digest();

/** A stub of an image of one object, in blocks of a page, and an empty cache. */
export class LazyImage {
  readonly place: LazyPlace;
  /** The end of the process that fetches. */
  readonly fetcher: number;
  readonly packed: readonly Buffer[];
  readonly #base: string;
  readonly #open: number[];

  constructor(object: Buffer) {
    this.#base = mkdtempSync(join(tmpdir(), 'ckptfs-lazy-'));
    const pages = Array.from({ length: object.length / PART_SIZE }, (_, page) =>
      object.subarray(page * PART_SIZE, (page + 1) * PART_SIZE),
    );
    this.packed = pages.map(packPart);
    const table = Buffer.alloc(this.packed.length * BLOCK_ENTRY_SIZE);
    for (const [block, packed] of this.packed.entries()) setBlockEntry(table, block, packed.length, digestOf(packed));
    const stored = (bytes: Buffer) => {
      const packed = packPart(bytes);
      return { size: bytes.length, parts: [{ digest: digestOf(packed).toString('hex'), size: packed.length }] };
    };
    const parts = this.packed.map((packed) => ({ digest: digestOf(packed).toString('hex'), size: packed.length }));
    const index = encodeRemoteIndex({
      imageId: '00'.repeat(16),
      cipher: 'aes-256-gcm',
      partSize: PART_SIZE,
      files: [
        { name: 'ckptfs.json', ...stored(Buffer.from('{}')) },
        { name: 'manifest', ...stored(Buffer.from('m')) },
        { name: objectFileName(OBJECT), size: object.length, parts },
      ],
      blocks: stored(table),
    });
    for (const name of ['stub', 'stub/image', 'cache']) mkdirSync(join(this.#base, name));
    writeFileSync(join(this.#base, 'stub/index'), index);
    writeFileSync(join(this.#base, 'stub/blocks'), table);
    const [connection, fetcher] = socketPair();
    const opened = ['stub', 'stub/image', 'cache'].map((name) => openSync(join(this.#base, name), 'r'));
    const [stub = -1, image = -1, blocks = -1] = opened;
    this.fetcher = fetcher;
    this.#open = [...opened, connection];
    this.place = { image: { fd: image, path: 'stub/image', name: URL }, stub, blocks, connection };
  }

  /** Returns the path of the cached file of a block. */
  cached(block: number): string {
    const name = digestOf(this.packed[block] ?? Buffer.alloc(0))
      .toString('hex')
      .slice(0, 32);
    mkdirSync(join(this.#base, 'cache', name.slice(0, 2)), { recursive: true });
    return join(this.#base, 'cache', name.slice(0, 2), name);
  }

  /** Writes a file of the stub. */
  write(name: string, bytes: Buffer): void {
    writeFileSync(join(this.#base, 'stub', name), bytes);
  }

  close(): void {
    for (const fd of this.#open) closeSync(fd);
    rmSync(this.#base, { recursive: true });
  }
}
