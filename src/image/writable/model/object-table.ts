import { invariant } from '../../../base/assert.ts';
import type { Geometry } from '../../../format/geometry.ts';
import { DIGEST_SIZE, type ObjectEntry } from '../../../format/manifest.ts';
import type { ReadableObject } from '../../read/object-reader.ts';
import { type ChunkRun, FreePlaces } from './free-places.ts';
import { GrowingRecords, MAX_GROWN_CHUNKS } from './growing-records.ts';

/** A count of uses that stays as it is: the place may have more uses, and is never freed. */
const SATURATED = 0xffff;

/** Chunks that counts are made for at first. */
const MIN_USES = 128;

/** An object of a writable image. */
export class LiveObject implements ReadableObject {
  /** 16 bytes. */
  readonly id: Buffer;
  /** How many chunks were given out, some of which may be dead. */
  chunks: number;
  digests: Buffer;
  /** Its records while it grows. Undefined once it is finished. */
  growing: GrowingRecords | undefined;
  /** Its number in the journal, once a frame has it. */
  number: number | undefined;
  /** How many chunks are in use. */
  live = 0;
  /** Whether its file was removed, since none of its chunks was in use. */
  isRemoved = false;
  /** How many runs of file bytes are in each chunk. */
  #uses: Uint16Array;

  private constructor(entry: ObjectEntry, growing: GrowingRecords | undefined) {
    this.id = entry.id;
    this.chunks = entry.chunks;
    this.digests = entry.digests;
    this.growing = growing;
    this.#uses = new Uint16Array(entry.chunks);
  }

  /** Makes an object of which a manifest or journal has everything. */
  static finished(entry: ObjectEntry): LiveObject {
    return new LiveObject(entry, undefined);
  }

  /** Makes an empty object that grows. */
  static begun(id: Buffer, geometry: Geometry, growing = new GrowingRecords(geometry)): LiveObject {
    const digests = Buffer.alloc(geometry.groupsFor(MAX_GROWN_CHUNKS) * DIGEST_SIZE);
    return new LiveObject({ id, chunks: 0, digests }, growing);
  }

  /** Makes it a finished object: its file has all its tag pages, and it has their digests. */
  stopGrowing(geometry: Geometry): void {
    this.digests = this.digests.subarray(0, geometry.groupsFor(this.chunks) * DIGEST_SIZE);
    this.growing = undefined;
  }

  /** Says that its file was removed. What was known of its chunks takes no more memory. */
  setRemoved(): void {
    this.isRemoved = true;
    this.digests = Buffer.alloc(0);
    this.growing = undefined;
    this.#uses = new Uint16Array();
  }

  /** 32 hexadecimal digits. */
  get name(): string {
    return this.id.toString('hex');
  }

  /** Returns whether any file holds something in a chunk. */
  isUsed(chunk: number): boolean {
    return (this.#uses[chunk] ?? 0) > 0;
  }

  /** Returns whether no file holds anything in a run of chunks. */
  isFree({ first, count }: ChunkRun): boolean {
    return this.#uses.subarray(first, first + count).every((uses) => uses === 0);
  }

  use(chunk: number): void {
    if (chunk >= this.#uses.length) this.#grow(chunk);
    const uses = this.#uses[chunk] as number;
    if (uses === 0) this.live++;
    if (uses < SATURATED) this.#uses[chunk] = uses + 1;
  }

  /** Ends one use of a chunk. Returns whether it was the last. */
  unuse(chunk: number): boolean {
    const uses = this.#uses[chunk] ?? 0;
    invariant(uses > 0, 'W5');
    if (uses === SATURATED) return false;
    this.#uses[chunk] = uses - 1;
    if (uses === 1) this.live--;
    return uses === 1;
  }

  #grow(chunk: number): void {
    const grown = new Uint16Array(Math.max(chunk + 1, 2 * this.#uses.length, MIN_USES));
    grown.set(this.#uses);
    this.#uses = grown;
  }
}

/** The objects of a writable image, what of each is in use, and what came free. An object keeps its index. */
export class ObjectTable {
  readonly objects: LiveObject[] = [];
  /** Places whose last use has ended. Their space may be given back once no state that can come back needs them. */
  readonly freed = new FreePlaces();
  /** Places of batches that failed. No frame ever named them, so their space may be given back at once. */
  readonly abandoned = new FreePlaces();

  /** Adds an object and returns its index. */
  add(object: LiveObject): number {
    return this.objects.push(object) - 1;
  }

  /** Returns the object of an index. */
  at(index: number): LiveObject {
    const object = this.objects[index];
    invariant(object !== undefined, 'W3');
    return object;
  }

  use(index: number, chunk: number): void {
    this.at(index).use(chunk);
  }

  unuse(index: number, chunk: number): void {
    if (this.at(index).unuse(chunk)) this.freed.add(index, chunk);
  }
}
