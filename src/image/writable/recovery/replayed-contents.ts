import { MalformedError } from '../../../base/bytes.ts';
import { Region } from '../../../base/linux/native.ts';
import type { Geometry } from '../../../format/geometry.ts';
import type { ChunksEntry, HolesEntry, JournalObject } from '../../../format/journal.ts';
import type { Extent } from '../../../format/manifest.ts';
import { readHoles } from '../../../format/record.ts';
import { ChunkMap } from '../model/chunk-map.ts';
import { FileChunks } from '../model/file-chunks.ts';
import { MAX_GROWN_CHUNKS } from '../model/growing-records.ts';
import type { LiveFile } from '../model/live-inode.ts';
import { LiveObject, ObjectTable } from '../model/object-table.ts';

/**
 * The objects and the contents of files that a journal leads to. Its methods throw MalformedError for a contradiction.
 */
export class ReplayedContents {
  readonly objects = new ObjectTable();
  readonly #geometry: Geometry;
  readonly #chunks: FileChunks;
  /** Ids of all objects, hexadecimal. */
  readonly #ids = new Set<string>();
  /** By object, 1 for each chunk that was named. */
  readonly #named = new Map<LiveObject, Uint8Array>();

  constructor(geometry: Geometry) {
    this.#geometry = geometry;
    this.#chunks = new FileChunks(geometry, this.objects);
  }

  addObject({ id, chunks, digests }: JournalObject): void {
    const object = chunks === 0 ? LiveObject.begun(id, this.#geometry) : LiveObject.finished({ id, chunks, digests });
    if (this.#ids.has(object.name)) throw new MalformedError(`object ${object.name} for the second time`);
    this.#ids.add(object.name);
    this.objects.add(object);
  }

  appendExtents(file: LiveFile, extents: readonly Extent[]): void {
    if (file.map !== undefined) throw new MalformedError('extents of a file that has chunks or holes already');
    for (const extent of extents) {
      const last = file.base.at(-1);
      if (last !== undefined && last.fileOffset + last.length > extent.fileOffset) {
        throw new MalformedError('extents out of order');
      }
      const object = this.#object(extent.object);
      if (extent.fileOffset + extent.length > file.size)
        throw new MalformedError('an extent beyond the end of its file');
      const isWithin = extent.objectOffset + extent.length <= object.chunks * this.#geometry.chunkSize;
      if (object.growing !== undefined || !isWithin)
        throw new MalformedError('an extent outside the chunks of a finished object');
      this.#chunks.append(file, extent);
    }
  }

  placeChunks(file: LiveFile, { fileChunk, object: number, objectChunk, records }: ChunksEntry): void {
    const object = this.#object(number);
    const { growing } = object;
    const { recordSize } = this.#geometry;
    const count = records.length / recordSize;
    if (growing === undefined || objectChunk + count > MAX_GROWN_CHUNKS) {
      throw new MalformedError('a chunk that its object cannot have');
    }
    const from = new Region(records);
    this.#chunks.clear(file, fileChunk, fileChunk + count);
    for (let index = 0; index < count; index++) {
      const chunk = objectChunk + index;
      const record = index * recordSize;
      this.#putRecord(object, chunk, growing.pageToFill(chunk), from.bytes.subarray(record, record + recordSize));
      object.chunks = Math.max(object.chunks, chunk + 1);
      this.#chunks.place(file, fileChunk + index, number, chunk, readHoles(from.view, record));
    }
  }

  clearChunks(file: LiveFile, { fileChunk, count }: HolesEntry): void {
    this.#chunks.clear(file, fileChunk, fileChunk + count);
    // A file with a map takes no more extents.
    file.map ??= new ChunkMap();
  }

  /** Gives up the contents of a file. */
  drop(file: LiveFile): void {
    this.#chunks.clear(file, 0, Number.POSITIVE_INFINITY);
  }

  /**
   * Checks that a file holds nothing in chunks after its end, and cuts an extent that goes beyond it within a chunk.
   */
  finish(file: LiveFile): void {
    const chunks = this.#geometry.chunksFor(file.size);
    const last = file.base.at(-1);
    const baseChunks = last === undefined ? 0 : this.#geometry.chunksFor(last.fileOffset + last.length);
    if (baseChunks > chunks || (file.map?.last() ?? -1) >= chunks) {
      throw new MalformedError('contents beyond the end of their file');
    }
    this.#chunks.trim(file);
  }

  /**
   * Forgets which chunks came free, but for those that no file uses in the end: a later entry may have put a chunk back
   * that an earlier one took away, and room that came free is given back when the journal is continued.
   */
  settleFreed(): void {
    const { freed } = this.objects;
    for (const { object, first, count } of freed.drain()) {
      for (let chunk = first; chunk < first + count; chunk++) {
        if (!this.objects.at(object).isUsed(chunk)) freed.add(object, chunk);
      }
    }
  }

  /**
   * Puts the record of a chunk on its page. A chunk is written once (W1), so it cannot have two records that differ.
   */
  #putRecord(object: LiveObject, chunk: number, page: Region, record: Buffer): void {
    let named = this.#named.get(object);
    if (named === undefined) {
      named = new Uint8Array(MAX_GROWN_CHUNKS);
      this.#named.set(object, named);
    }
    const start = this.#geometry.recordOffset(chunk);
    const place = page.bytes.subarray(start, start + record.length);
    if (named[chunk] === 1 && !place.equals(record)) throw new MalformedError('two records of one chunk');
    named[chunk] = 1;
    record.copy(place);
  }

  #object(number: number): LiveObject {
    const object = this.objects.objects[number];
    if (object === undefined) {
      throw new MalformedError(`object ${number}, but only ${this.objects.objects.length} are known`);
    }
    return object;
  }
}
