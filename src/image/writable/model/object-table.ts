import { CHUNKS_PER_GROUP } from '../../../format/geometry.ts';
import { DIGEST_SIZE, type ObjectEntry } from '../../../format/manifest.ts';
import type { ReadableObject } from '../../read/object-reader.ts';
import { FreePlaces } from './free-places.ts';
import { GrowingRecords, MAX_GROWN_CHUNKS } from './growing-records.ts';

/** A count that is not exact any more: that many or more. */
const STICKY = 0xffff;

/** An object of a writable image. */
export class LiveObject implements ReadableObject {
  /** 16 bytes. */
  readonly id: Buffer;
  /** In use from the first on, some of them perhaps dead. */
  chunks: number;
  digests: Buffer;
  /** Set until the object is finished. */
  growing: GrowingRecords | undefined;
  /** Its number in the journal, once that has it. */
  number: number | undefined;
  /** Chunks that something lies in. */
  live = 0;
  /** Whether its file was removed, as nothing lies in it any more. */
  isRemoved = false;
  /** How many runs of file bytes touch each chunk. */
  #uses: Uint16Array;

  private constructor(entry: ObjectEntry, growing: GrowingRecords | undefined) {
    this.id = entry.id;
    this.chunks = entry.chunks;
    this.digests = entry.digests;
    this.growing = growing;
    this.#uses = new Uint16Array(entry.chunks);
  }

  static finished(entry: ObjectEntry): LiveObject {
    return new LiveObject(entry, undefined);
  }

  static begun(id: Buffer): LiveObject {
    const digests = Buffer.alloc((MAX_GROWN_CHUNKS / CHUNKS_PER_GROUP) * DIGEST_SIZE);
    return new LiveObject({ id, chunks: 0, digests }, new GrowingRecords());
  }

  /** 32 hexadecimal digits. */
  get name(): string {
    return this.id.toString('hex');
  }

  /** Whether any file holds something in a chunk. */
  isUsed(chunk: number): boolean {
    return (this.#uses[chunk] ?? 0) > 0;
  }

  use(chunk: number): void {
    if (chunk >= this.#uses.length) this.#grow(chunk);
    const uses = this.#uses[chunk] as number;
    if (uses === 0) this.live++;
    if (uses < STICKY) this.#uses[chunk] = uses + 1;
  }

  /** @returns whether that was the last use */
  unuse(chunk: number): boolean {
    const uses = this.#uses[chunk] ?? 0;
    if (uses === 0 || uses === STICKY) return false;
    this.#uses[chunk] = uses - 1;
    if (uses === 1) this.live--;
    return uses === 1;
  }

  #grow(chunk: number): void {
    const grown = new Uint16Array(Math.max(chunk + 1, 2 * this.#uses.length, CHUNKS_PER_GROUP));
    grown.set(this.#uses);
    this.#uses = grown;
  }
}

/** The objects of a writable image, how much of each is used, and what came free. An object keeps its index. */
export class ObjectTable {
  readonly objects: LiveObject[] = [];
  /** Chunks that were used and are not any more; whoever makes the state durable that does without them drains it. */
  readonly freed = new FreePlaces();
  /** Chunks that no frame of the journal ever named: whoever drains it may give back their room at once. */
  readonly abandoned = new FreePlaces();

  /** Returns its index. */
  add(object: LiveObject): number {
    return this.objects.push(object) - 1;
  }

  /** @throws Error for an index that is none */
  at(index: number): LiveObject {
    const object = this.objects[index];
    if (object === undefined) throw new Error(`no object ${index}`);
    return object;
  }

  use(index: number, chunk: number): void {
    this.at(index).use(chunk);
  }

  unuse(index: number, chunk: number): void {
    if (this.at(index).unuse(chunk)) this.freed.add(index, chunk);
  }
}
