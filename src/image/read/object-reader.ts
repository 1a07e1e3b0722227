import { LRUCache } from 'lru-cache';
import type { Counters } from '../../base/counters.ts';
import { CkptfsError } from '../../base/errors.ts';
import { Region } from '../../base/linux/native.ts';
import { wipe } from '../../base/wipe.ts';
import { ChunkDecompressor } from '../../compression/chunk-decompressor.ts';
import { type Geometry, PAGE_SIZE, SECTOR_SIZE } from '../../format/geometry.ts';
import { DIGEST_SIZE, type ObjectEntry } from '../../format/manifest.ts';
import { encodeObjectHeader } from '../../format/object-header.ts';
import { readCompressedSectors, readHoles } from '../../format/record.ts';
import type { StoredObject } from '../../stores/store.ts';
import { type ImageContext, imageContext } from '../objects/image-context.ts';
import { digestTagPage } from '../objects/object-sealer.ts';
import { OpenObject } from '../objects/open-object.ts';
import type { Image } from './image.ts';
import { TagPages } from './tag-pages.ts';

/** The image whose objects are read: a sealed one, or one that is being written, which may get more objects. */
export type ObjectSource = Pick<Image, 'store' | 'header' | 'imageKey'> & {
  readonly manifest: { readonly objects: readonly ReadableObject[] };
};

export interface ReadableObject extends ObjectEntry {
  /** Set while the object is being filled: its size may still change, and its file lacks some tag pages. */
  readonly growing?: GrowingObject | undefined;
}

export interface GrowingObject {
  /** Returns the tag page of a group, or undefined if the file of the object has it. */
  page(group: number): Region | undefined;
}

type OpenEntry = OpenObject<ReadableObject>;

/** A chunk that is damaged, and why. */
export interface ChunkFault {
  readonly chunk: number;
  /** Bit s set means that sector s of it is damaged. */
  readonly sectors: number;
  readonly reason: string;
}

const WRONG_TAG = 'its tag does not match';

export const MAX_OPEN_OBJECTS = 128;

/** With chunks of 16 KiB, tag pages of so many bytes lead to 4 GiB of data. */
export const DEFAULT_READ_CACHE_BYTES = 16 << 20;

/**
 * Goes from manifest to tag page to record to chunk (format.md §6) for the objects of one image, and keeps tag pages
 * that it has verified. One thread must have it for itself.
 */
export class ObjectReader {
  readonly geometry: Geometry;
  readonly #image: ImageContext;
  readonly #source: ObjectSource;
  readonly #counters: Counters;
  readonly #objects: LRUCache<number, OpenEntry>;
  readonly #tagPages: TagPages;
  /** The number of each object's first tag page among all tag pages of the image. */
  readonly #firstGroups: number[] = [0];
  readonly #digest = new Region(DIGEST_SIZE);
  /** Made when the first compressed chunk is read. */
  #decompressor: ChunkDecompressor | undefined;
  /** A chunk of which only a part was asked for. */
  #chunk: Region | undefined;
  /** The number of the chunk that is there, of those that are loaded; -1 for none. */
  #chunkThere = -1;
  /** The object that was used last, which needs no search in the cache. */
  #lastIndex = -1;
  #last: OpenEntry | undefined;
  /** Where the tag page is that was used last. */
  #page: Region;
  #pageOffset = 0;

  /** @param cacheSize the most bytes of tag pages to keep */
  constructor(source: ObjectSource, counters: Counters, cacheSize: number = DEFAULT_READ_CACHE_BYTES) {
    this.#source = source;
    this.#counters = counters;
    this.#image = imageContext(source.store, source.header, source.imageKey);
    this.geometry = this.#image.geometry;
    this.#tagPages = new TagPages(cacheSize);
    this.#page = this.#tagPages.region;
    this.#objects = new LRUCache({ max: MAX_OPEN_OBJECTS, dispose: (object) => this.#close(object) });
  }

  /**
   * Reads what is stored of whole sectors of one group into `stored`, for {@link openLoaded}. All that is stored of
   * compressed chunks is read, so that `stored` needs room for a chunk less a sector before what is asked for, and as
   * much after it.
   * @param start of the first sector in the data space of the object
   * @returns how many bytes there are in `stored` before that sector
   * @throws CkptfsError `damaged`, `io`
   */
  load(object: number, start: number, length: number, stored: Region): number {
    const opened = this.#open(object);
    const { chunkSize, chunksPerGroup } = this.geometry;
    const chunk = Math.floor(start / chunkSize);
    const group = this.geometry.groupOf(chunk);
    const fault = this.#findTagPage(object, opened, group);
    if (fault !== undefined) throw this.#damaged(opened, group * chunksPerGroup, fault);
    const last = Math.floor((start + length - 1) / chunkSize);
    const first = this.#compressedSectors(chunk) > 0 ? chunk * chunkSize : start;
    const ofLast = this.#compressedSectors(last);
    const end = ofLast > 0 ? last * chunkSize + ofLast * SECTOR_SIZE : start + length;
    this.#chunkThere = -1;
    const read = opened.readSealed(first, end - first, stored, 0);
    this.#counters.add('storedBytesRead', read);
    if (read !== end - first && opened.entry.growing === undefined) {
      throw this.#damaged(opened, chunk, 'the file ends early');
    }
    return start - first;
  }

  /**
   * Authenticates and decrypts whole sectors of the group that was loaded last.
   * @throws CkptfsError `damaged`: nothing of `to` may then be used
   */
  openLoaded(
    object: number,
    start: number,
    length: number,
    stored: Region,
    storedOffset: number,
    to: Region,
    toOffset: number,
  ): void {
    const { geometry } = this;
    const { chunkSize } = geometry;
    const opened = this.#open(object);
    for (let done = 0; done < length; ) {
      const chunk = Math.floor((start + done) / chunkSize);
      const inChunk = (start + done) % chunkSize;
      const size = Math.min(length - done, chunkSize - inChunk);
      const from = storedOffset + done;
      if (this.#compressedSectors(chunk) > 0) {
        this.#openCompressed(opened, chunk, inChunk, size, stored, from - inChunk, to, toOffset + done);
      } else {
        const first = inChunk / SECTOR_SIZE;
        const count = size / SECTOR_SIZE;
        const record = this.#recordAt(chunk);
        if (!opened.cipher.open(chunk, first, count, stored, from, this.#page, record, to, toOffset + done)) {
          throw this.#damaged(opened, chunk, WRONG_TAG);
        }
      }
      done += size;
    }
  }

  /** Opens an object, which checks its length and header page. @throws CkptfsError `damaged`, `io` */
  checkObject(object: number): void {
    this.#open(object);
  }

  /**
   * Finds all damaged chunks in one group of an object.
   * @param data has space for all chunks of a group
   * @param covered the chunks to read, as {@link Coverage.ofGroup} returns them
   * @throws CkptfsError `damaged` when the object does not open, `io`
   */
  faults(object: number, group: number, data: Region, covered: Uint8Array): readonly ChunkFault[] {
    const { chunkSize, chunksPerGroup, holeMask } = this.geometry;
    const opened = this.#open(object);
    const first = group * chunksPerGroup;
    const count = Math.min(chunksPerGroup, opened.entry.chunks - first);
    const pageFault = this.#findTagPage(object, opened, group);
    const read = opened.readSealed(first * chunkSize, count * chunkSize, data, 0);
    const faults: ChunkFault[] = [];
    for (let i = 0; i < count; i++) {
      const chunk = first + i;
      if (((covered[i >>> 3] ?? 0) & (1 << (i & 7))) === 0) continue;
      if (pageFault !== undefined) faults.push({ chunk, sectors: holeMask, reason: pageFault });
      else if ((i + 1) * chunkSize > read) faults.push({ chunk, sectors: holeMask, reason: 'the file ends early' });
      else {
        const isCompressed = this.#compressedSectors(chunk) > 0;
        // It comes first: what is stored must not be used after it was verified.
        const reason = isCompressed
          ? this.#decompress(opened, chunk, data, i * chunkSize, this.#whole(), 0)
          : undefined;
        const sectors = opened.cipher.verify(chunk, data, i * chunkSize, this.#page, this.#recordAt(chunk));
        // No sector of a compressed chunk is read without all that is stored of it.
        if (reason !== undefined) faults.push({ chunk, sectors: holeMask, reason });
        else if (sectors !== 0) faults.push({ chunk, sectors: isCompressed ? holeMask : sectors, reason: WRONG_TAG });
      }
    }
    return faults;
  }

  close(): void {
    this.#objects.clear();
    this.#tagPages.clear();
    this.#decompressor?.wipe();
    if (this.#chunk !== undefined) wipe(this.#chunk.bytes);
  }

  /** Returns how many sectors a compressed chunk takes, whatever its record says no more than it has; otherwise 0. */
  #compressedSectors(chunk: number): number {
    if (this.geometry.compression === undefined) return 0;
    return Math.min(readCompressedSectors(this.#page.view, this.#recordAt(chunk)), this.geometry.sectorsPerChunk);
  }

  /**
   * Opens a part of a compressed chunk.
   * @param inChunk of the part in the chunk
   * @param storedOffset of the chunk
   */
  #openCompressed(
    opened: OpenEntry,
    chunk: number,
    inChunk: number,
    size: number,
    stored: Region,
    storedOffset: number,
    to: Region,
    toOffset: number,
  ): void {
    const isWhole = size === this.geometry.chunkSize;
    const whole = isWhole ? to : this.#whole();
    if (isWhole || this.#chunkThere !== chunk) {
      this.#chunkThere = -1;
      const fault = this.#decompress(opened, chunk, stored, storedOffset, whole, isWhole ? toOffset : 0);
      if (fault !== undefined) throw this.#damaged(opened, chunk, fault);
    }
    if (isWhole) return;
    // The sectors before and after those that are asked for whole are opened one by one.
    this.#chunkThere = chunk;
    whole.bytes.copy(to.bytes, toOffset, inChunk, inChunk + size);
  }

  /** Decrypts and decompresses a chunk, or returns the reason why that fails. */
  #decompress(
    { cipher }: OpenEntry,
    chunk: number,
    stored: Region,
    storedOffset: number,
    to: Region,
    toOffset: number,
  ): string | undefined {
    const record = this.#recordAt(chunk);
    const sectors = this.#compressedSectors(chunk);
    this.#decompressor ??= new ChunkDecompressor(this.geometry);
    const { content } = this.#decompressor;
    if (!cipher.open(chunk, 0, sectors, stored, storedOffset, this.#page, record, content, 0)) return WRONG_TAG;
    const isRight = this.#decompressor.decompress(sectors, readHoles(this.#page.view, record), to, toOffset);
    return isRight ? undefined : 'its content does not decompress';
  }

  #whole(): Region {
    this.#chunk ??= new Region(this.geometry.chunkSize);
    return this.#chunk;
  }

  /** Returns the offset of the record of a chunk, which is of the group whose tag page was found last. */
  #recordAt(chunk: number): number {
    return this.#pageOffset + this.geometry.recordOffset(chunk);
  }

  #open(index: number): OpenEntry {
    if (index === this.#lastIndex && this.#last !== undefined) return this.#last;
    const found = this.#objects.get(index) ?? this.#openFile(index);
    this.#lastIndex = index;
    this.#last = found;
    return found;
  }

  #close(object: OpenEntry): void {
    if (object === this.#last) this.#last = undefined;
    try {
      object.close();
    } catch {
      // The object was only read, and opening another one, which closes this one, must not fail for it.
    }
  }

  /** Opens an object. One that is missing counts like one that fails authentication: both give EIO to a reader. */
  #openFile(index: number): OpenEntry {
    const entry = this.#source.manifest.objects[index];
    if (entry === undefined) throw new CkptfsError('internal', `no object ${index}`);
    try {
      const opened = OpenObject.open(this.#image, entry, (file) => this.#checkFile(file, entry));
      this.#objects.set(index, opened);
      return opened;
    } catch (error) {
      if (error instanceof CkptfsError && error.code === 'damaged') this.#counters.add('authenticationFailures', 1);
      throw error;
    }
  }

  #checkFile(file: StoredObject, entry: ReadableObject): void {
    const { cipher, chunkSize, imageId } = this.#source.header;
    const id = entry.id.toString('hex');
    const size = this.geometry.objectSize(entry.chunks);
    if (file.size !== size && entry.growing === undefined) {
      throw new CkptfsError('damaged', `object ${id}: has ${file.size} bytes, not ${size}`);
    }
    const page = new Region(PAGE_SIZE);
    const read = file.read(page, 0, PAGE_SIZE, 0);
    if (read !== PAGE_SIZE || !encodeObjectHeader(cipher, chunkSize, imageId, entry.id).equals(page.bytes)) {
      throw new CkptfsError('damaged', `object ${id}: its header page is not this object's`);
    }
  }

  /** Makes the verified tag page of a group the one in #page, or returns the reason why it fails. */
  #findTagPage(object: number, opened: OpenEntry, group: number): string | undefined {
    const growing = opened.entry.growing?.page(group);
    if (growing !== undefined) {
      this.#page = growing;
      this.#pageOffset = 0;
      return undefined;
    }
    const key = this.#firstGroup(object) + group;
    const isKept = this.#tagPages.find(key);
    if (!isKept) this.#tagPages.claim(key);
    this.#page = this.#tagPages.region;
    this.#pageOffset = this.#tagPages.offset;
    this.#counters.add(isKept ? 'cacheHits' : 'cacheMisses', 1);
    if (isKept) return undefined;
    try {
      const fault = this.#readTagPage(opened, group);
      if (fault !== undefined) this.#tagPages.release();
      return fault;
    } catch (error) {
      this.#tagPages.release();
      throw error;
    }
  }

  /** Reads and verifies the tag page of a group, and returns the reason why it fails. @throws CkptfsError `io` */
  #readTagPage(opened: OpenEntry, group: number): string | undefined {
    const start = this.#pageOffset;
    const read = opened.file.read(this.#page, start, PAGE_SIZE, this.geometry.tagPageOffset(group));
    this.#counters.add('storedBytesRead', read);
    digestTagPage(this.#page, start, this.#digest);
    const expected = group * DIGEST_SIZE;
    const differs = this.#digest.bytes.compare(opened.entry.digests, expected, expected + DIGEST_SIZE) !== 0;
    if (read !== PAGE_SIZE || differs) return 'its tag page is not the sealed one';
    const { chunksPerGroup, recordSize } = this.geometry;
    const records = Math.min(chunksPerGroup, opened.entry.chunks - group * chunksPerGroup);
    for (let at = start + records * recordSize; at < start + PAGE_SIZE; at++) {
      if (this.#page.bytes[at] !== 0) return 'its tag page has a record past the last chunk';
    }
    return undefined;
  }

  /** Counts groups up to an object. More objects may have been added at the end, of which only the last one grows. */
  #firstGroup(object: number): number {
    const known = this.#firstGroups[object];
    if (known !== undefined) return known;
    const { objects } = this.#source.manifest;
    for (let next = this.#firstGroups.length; next <= object; next++) {
      const groups = this.geometry.groupsFor(objects[next - 1]?.chunks ?? 0);
      this.#firstGroups.push((this.#firstGroups[next - 1] ?? 0) + groups);
    }
    return this.#firstGroups[object] ?? 0;
  }

  #damaged(object: OpenEntry, chunk: number, reason: string): CkptfsError {
    this.#counters.add('authenticationFailures', 1);
    return new CkptfsError('damaged', `object ${object.id}, chunk ${chunk}: ${reason}`);
  }
}
