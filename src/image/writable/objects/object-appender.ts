import { invariant, isFailure } from '../../../base/assert.ts';
import { ioErrorName } from '../../../base/errors.ts';
import type { Region } from '../../../base/linux/native.ts';
import { wipe } from '../../../base/wipe.ts';
import { ChunkCompressor, type Effort } from '../../../compression/chunk-compressor.ts';
import { randomBytes } from '../../../crypto/system-random.ts';
import { ID_SIZE } from '../../../format/manifest.ts';
import { emptySectors } from '../../../format/record.ts';
import type { WritableObject, WritableStore } from '../../../stores/writable-store.ts';
import type { ImageContext } from '../../objects/image-context.ts';
import { Nonces } from '../../objects/nonces.ts';
import { ObjectSealer, writeObjectHeader } from '../../objects/object-sealer.ts';
import { GrowingRecords, MAX_GROWN_CHUNKS } from '../model/growing-records.ts';
import { LiveObject, type ObjectTable } from '../model/object-table.ts';
import { Placements } from '../model/placements.ts';
import { finishObject, writeTagPage } from './finish-object.ts';
import { Staging } from './staging.ts';

/** A program waits for each write, on the only thread. */
const DEFAULT_EFFORT: Effort = { level: 1, isAdaptive: true };

/** An object that is being filled. */
interface FilledObject {
  readonly index: number;
  readonly object: LiveObject;
  readonly growing: GrowingRecords;
  readonly file: WritableObject;
  readonly sealer: ObjectSealer;
}

/**
 * Seals chunks and appends them to objects, each under a nonce of its own (W2) at a place that nothing names yet (W1).
 * They come in batches, which succeed or fail as a whole. The next batch takes the places of one that failed.
 */
export class ObjectAppender {
  readonly #image: ImageContext<WritableStore>;
  readonly #table: ObjectTable;
  readonly #nonces = new Nonces();
  /** Sealed chunks that are not written yet, the last ones of the current object. */
  readonly #staging: Staging;
  readonly #compressor: ChunkCompressor | undefined;
  /** Places of the current batch. */
  #placements = new Placements();
  #current: FilledObject | undefined;
  /** Objects that take no more chunks, but are not finished. */
  readonly #full = new Set<FilledObject>();
  /** Objects with writes that may not be durable. */
  readonly #unsynced = new Set<FilledObject>();
  #namesChanged = false;

  /** @param effort how hard it is tried to compress, where the image is compressed */
  constructor(image: ImageContext<WritableStore>, table: ObjectTable, effort = DEFAULT_EFFORT) {
    this.#image = image;
    this.#table = table;
    this.#staging = new Staging(image.geometry);
    const { compression } = image.geometry;
    if (compression !== undefined) {
      this.#compressor = new ChunkCompressor(compression, image.geometry, effort);
    }
  }

  /**
   * Stores a batch of chunks.
   * @param placements is filled with their places
   * @param count how many chunks the batch has at most
   * @param addAll calls {@link add} for each chunk; it is called again when the batch has to go into another object
   * @throws CkptfsError `io`: nothing of the batch is stored
   */
  append(placements: Placements, count: number, addAll: () => void): void {
    this.#placements = placements;
    try {
      this.#appendOnce(count, addAll);
    } catch (error) {
      if (!this.#leaveLimitedObject(error)) throw error;
      this.#appendOnce(count, addAll);
    }
  }

  /**
   * Seals a chunk into the batch. Its plaintext may change as soon as this returns.
   * @param holes bit s means that sector s is a hole, which is neither read nor stored
   * @throws CkptfsError `io`, which {@link append} must see
   */
  add(plain: Region, offset: number, holes: number): void {
    const { object, index, growing, sealer } = this.#objectToFill();
    const chunk = object.chunks++;
    const { region, nextOffset } = this.#staging;
    const compressor = this.#compressor;
    const sectors = compressor?.compress(plain, offset, holes) ?? 0;
    const isCompressed = compressor !== undefined && sectors > 0;
    const from = isCompressed ? compressor.content : plain;
    const start = isCompressed ? 0 : offset;
    this.#placements.add(index, chunk);
    sealer.seal(chunk, holes, sectors, from, start, region, nextOffset, growing.pageToFill(chunk));
    this.#staging.add(emptySectors(holes, sectors, this.#image.geometry));
  }

  /** Gives up the places of a batch. They are never used again. */
  abandon(placements: Placements): void {
    const { abandoned } = this.#table;
    for (let index = 0; index < placements.count; index++) {
      abandoned.add(placements.object(index), placements.chunk(index));
    }
    placements.reset();
  }

  /** Forgets the records that nothing needs any more (W4). A frame must have those of all batches so far. */
  forgetRecords(): void {
    this.#current?.growing.forgetFull(this.#current.object.chunks);
    for (const filled of this.#full) {
      filled.growing.forgetFull(filled.object.chunks);
      if (!filled.growing.isEmpty) continue;
      filled.object.stopGrowing(this.#image.geometry);
      this.#full.delete(filled);
      this.#closeUnused(filled);
    }
  }

  /**
   * Finishes all objects. The next batch goes into a new one. A frame must have the records of all batches so far.
   * @throws CkptfsError `io`: it may be tried again
   */
  finishObjects(): void {
    this.#retire();
    for (const filled of this.#full) {
      this.#unsynced.add(filled);
      finishObject(filled.object, filled.file, this.#image.geometry);
      this.#full.delete(filled);
    }
  }

  /** Whether {@link sync} has anything to do. */
  get isUnsynced(): boolean {
    return this.#unsynced.size > 0 || this.#namesChanged;
  }

  /** How many objects are open only to be made durable. */
  get unsyncedCount(): number {
    return this.#unsynced.size;
  }

  /** Makes everything written durable, and the names of objects. @throws CkptfsError `io` */
  sync(): void {
    for (const filled of this.#unsynced) {
      filled.file.sync();
      this.#unsynced.delete(filled);
      this.#closeUnused(filled);
    }
    if (this.#namesChanged) this.#image.store.syncNames();
    this.#namesChanged = false;
  }

  /** Wipes keys and closes files. The objects stay as they are. */
  close(): void {
    wipe(this.#staging.region.bytes);
    this.#compressor?.wipe();
    this.#retire();
    for (const { file } of new Set([...this.#full, ...this.#unsynced])) file.close();
    this.#full.clear();
    this.#unsynced.clear();
  }

  #closeUnused(filled: FilledObject): void {
    if (filled !== this.#current && !this.#full.has(filled) && !this.#unsynced.has(filled)) filled.file.close();
  }

  #retire(): void {
    const current = this.#current;
    if (current === undefined) return;
    current.sealer.dispose();
    this.#full.add(current);
    this.#current = undefined;
  }

  /** Returns the object that the next chunk goes into, with space for it in the staging. */
  #objectToFill(): FilledObject {
    let current = this.#current;
    if (current === undefined) {
      current = this.#beginObject();
    } else if (current.object.chunks === MAX_GROWN_CHUNKS) {
      this.#writeStaged();
      this.#retire();
      current = this.#beginObject();
    } else if (this.#staging.isFull || current.object.chunks % this.#image.geometry.chunksPerGroup === 0) {
      this.#writeStaged();
    }
    return current;
  }

  #beginObject(): FilledObject {
    const id = randomBytes(ID_SIZE);
    const growing = new GrowingRecords(this.#image.geometry);
    const object = LiveObject.begun(id, this.#image.geometry, growing);
    this.#namesChanged = true;
    const file = this.#image.store.createObject(object.name);
    try {
      writeObjectHeader(file, this.#image.header, id);
    } catch (error) {
      file.close();
      this.#image.store.removeObject(object.name);
      throw error;
    }
    const sealer = new ObjectSealer(this.#image, id, this.#nonces);
    this.#current = { index: this.#table.add(object), object, growing, file, sealer };
    return this.#current;
  }

  /** Writes the staged chunks, which are all of one group, and the tag page of the group if it is full. */
  #writeStaged(): void {
    const current = this.#current;
    if (current === undefined || this.#staging.count === 0) return;
    const { object, growing, file } = current;
    this.#unsynced.add(current);
    this.#staging.write(file, this.#image.geometry.chunkOffset(object.chunks - this.#staging.count));
    // Finishing the object must not meet a limit of file size, when it is too late to take another object.
    if (this.#staging.endsEmpty) file.truncate(this.#image.geometry.objectSize(object.chunks));
    this.#staging.clear();
    if (object.chunks % this.#image.geometry.chunksPerGroup !== 0) return;
    for (const [group, page] of growing.unwritten()) {
      writeTagPage(object, growing, group, page, file, this.#image.geometry);
    }
  }

  #appendOnce(count: number, addAll: () => void): void {
    this.#placements.reset();
    this.#nonces.begin(count);
    try {
      addAll();
      this.#writeStaged();
    } catch (error) {
      this.#staging.clear();
      this.#takeBack();
      throw error;
    }
  }

  /**
   * Takes back the places of a batch that failed (W1), and the space that a part of it took, so that trying again and
   * again takes no more space, memory or files. Places in an object that became full meanwhile are abandoned.
   */
  #takeBack(): void {
    const placements = this.#placements;
    const current = this.#current;
    let kept = placements.count;
    while (kept > 0 && placements.object(kept - 1) === current?.index) kept--;
    if (current !== undefined && kept < placements.count) {
      current.object.chunks = placements.chunk(kept);
      current.growing.cut(current.object.chunks);
      cutFile(current.file, this.#image.geometry.objectSize(current.object.chunks));
    }
    for (let index = kept; index < placements.count; index++) {
      const chunk = placements.chunk(index);
      invariant(current?.object.isUsed(chunk) === false, 'W1', { chunk });
    }
    placements.cut(kept);
    this.abandon(placements);
  }

  /**
   * Takes no more chunks into an object that has reached the limit of file size (RLIMIT_FSIZE), as a new one has not.
   * @param error why the batch failed
   * @returns whether there was such an object, with anything in it
   */
  #leaveLimitedObject(error: unknown): boolean {
    if (ioErrorName(error) !== 'EFBIG' || this.#current === undefined || this.#current.object.chunks === 0)
      return false;
    this.#retire();
    return true;
  }
}

/** Cuts what no file needs, if the store lets it: otherwise the next batch writes over it. */
function cutFile(file: WritableObject, size: number): void {
  try {
    file.truncate(size);
  } catch (error) {
    if (!isFailure(error)) throw error;
  }
}
