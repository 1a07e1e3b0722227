import { closeSync, constants as fsConstants, fstatSync, readSync } from 'node:fs';
import { CkptfsError, ioError, systemErrorName } from '../../base/errors.ts';
import { Directory } from '../../base/linux/directory.ts';
import { Region } from '../../base/linux/native.ts';
import { printable } from '../../base/printable.ts';
import { wipe } from '../../base/wipe.ts';
import { ChunkCompressor, type Effort } from '../../compression/chunk-compressor.ts';
import { Secret } from '../../crypto/secret.ts';
import type { CipherName } from '../../format/ciphers.ts';
import type { CompressionName } from '../../format/compressions.ts';
import { PAGE_SIZE, SECTOR_SIZE } from '../../format/geometry.ts';
import { DIGEST_SIZE } from '../../format/manifest.ts';
import { emptySectors } from '../../format/record.ts';
import type { SuiteName } from '../../format/suites.ts';
import { openWritableStore } from '../../stores/open-store.ts';
import type { StorePlace } from '../../stores/store.ts';
import { geometryOf } from '../objects/image-context.ts';
import { Nonces } from '../objects/nonces.ts';
import { digestTagPage, ObjectSealer, writeObjectHeader } from '../objects/object-sealer.ts';
import { writeStored } from '../objects/stored-runs.ts';
import { MAX_PATH_SHOWN } from '../outside/losses.ts';
import { type FindPlace, pathInTree, TreeDirectories } from '../outside/tree-directories.ts';
import type { JobWorker } from '../workers/worker-messages.ts';
import { type Segment, usedSectors } from './plan.ts';
import { GONE_ERRORS, sourceChanged, stampOf } from './source.ts';
import { placeIn, type SharedNames } from './source-names.ts';

/** What every worker needs that seals groups. */
export interface GroupSetup {
  readonly store: StorePlace;
  readonly suite: SuiteName | undefined;
  readonly cipher: CipherName;
  readonly chunkSize: number;
  readonly compression: CompressionName | undefined;
  readonly effort: Effort | undefined;
  readonly imageId: Uint8Array;
  readonly imageKey: SharedArrayBuffer;
}

export interface SealSetup extends GroupSetup {
  readonly job: 'seal';
  readonly source: {
    /** Descriptor of the root. All threads of the process share it. */
    readonly root: number;
    readonly location: string;
    readonly names: SharedNames;
  };
}

/** The task to read what one group of an object holds, to encrypt it and to write it. */
export interface SealTask {
  readonly objectId: Uint8Array;
  readonly object: number;
  readonly group: number;
  /** The segments in the group, without gaps from its first byte on. */
  readonly segments: readonly Segment[];
}

/** Directories that one thread keeps open. There may be 256 threads. */
const MAX_OPEN = 8;

/** The SHA-256 of the group's tag page. */
export type SealResult = Uint8Array;

/** Where the bytes of segments come from. */
export interface SegmentSource {
  /** Reads segments into `to`, and zeros up to the end of the last sector. Returns the number of bytes before those. */
  read(segments: readonly Segment[], to: Region): number;
  /** Wipes what it has of files and keys. */
  close(): void;
}

/** Seals what is in files of a directory. */
export function sealWorker(setup: SealSetup): JobWorker {
  return groupSealer(setup, new SourceReader(setup.source));
}

/** Seals groups of objects, wherever their bytes come from. */
export function groupSealer(setup: GroupSetup, source: SegmentSource): JobWorker {
  const geometry = geometryOf(setup);
  const imageKey = Secret.fromShared(setup.imageKey);
  const store = openWritableStore(setup.store);
  const plain = new Region(geometry.groupSize);
  const stored = new Region(geometry.groupStride);
  const digest = new Region(DIGEST_SIZE);
  const nonces = new Nonces();
  const compressor =
    setup.compression === undefined ? undefined : new ChunkCompressor(setup.compression, geometry, setup.effort);
  const empty = new Uint16Array(geometry.chunksPerGroup);

  const run = (task: SealTask): SealResult => {
    const id = Buffer.from(task.objectId);
    const length = source.read(task.segments, plain);
    const chunks = geometry.chunksFor(length);
    stored.bytes.fill(0, 0, PAGE_SIZE); // not secret: a tag page
    nonces.begin(chunks);
    const sealer = new ObjectSealer({ header: setup, imageKey, geometry }, id, nonces);
    try {
      for (let i = 0; i < chunks; i++) {
        const used = Math.min(geometry.sectorsPerChunk, usedSectors(length - i * geometry.chunkSize));
        const holes = geometry.holeMask & ~(2 ** used - 1);
        const at = i * geometry.chunkSize;
        const chunk = task.group * geometry.chunksPerGroup + i;
        const sectors = compressor?.compress(plain, at, holes) ?? 0;
        const isCompressed = compressor !== undefined && sectors > 0;
        const from = isCompressed ? compressor.content : plain;
        sealer.seal(chunk, holes, sectors, from, isCompressed ? 0 : at, stored, PAGE_SIZE + at, stored);
        empty[i] = emptySectors(holes, sectors, geometry);
      }
    } finally {
      sealer.dispose();
    }
    const file = store.openObjectForWriting(id.toString('hex'));
    try {
      if (task.group === 0) writeObjectHeader(file, setup, id);
      const { sectorsPerChunk } = geometry;
      const run = { region: stored, lead: PAGE_SIZE, empty, count: chunks, sectorsPerChunk };
      writeStored(file, run, geometry.tagPageOffset(task.group));
    } finally {
      file.close();
    }
    digestTagPage(stored, 0, digest);
    return Uint8Array.from(digest.bytes);
  };

  return {
    run: (task) => run(task as SealTask),
    close: () => {
      wipe(plain.bytes);
      compressor?.wipe();
      source.close();
      store.close();
    },
  };
}

/** Reads segments of source files. Keeps the last file open, since a big one has many segments. */
class SourceReader implements SegmentSource {
  readonly #location: string;
  readonly #place: FindPlace;
  readonly #directories: TreeDirectories;
  #inode: number | undefined;
  #fd = -1;

  constructor({ root, location, names }: SealSetup['source']) {
    this.#location = location;
    this.#place = (inode) => placeIn(names, inode);
    this.#directories = new TreeDirectories(Directory.fromDescriptor(root), this.#place, { maxOpen: MAX_OPEN });
  }

  read(segments: readonly Segment[], to: Region): number {
    let end = 0;
    for (const segment of segments) {
      end = segment.objectOffset + segment.length;
      try {
        this.#open(segment.inode, segment.stamp);
        let done = 0;
        while (done < segment.length) {
          const at = segment.objectOffset + done;
          const count = readSync(this.#fd, to.bytes, at, segment.length - done, segment.fileOffset + done);
          if (count === 0) throw sourceChanged(this.#pathOf(segment.inode));
          done += count;
        }
      } catch (cause) {
        if (GONE_ERRORS.has(systemErrorName(cause) ?? '')) throw sourceChanged(this.#pathOf(segment.inode));
        throw ioError('read', this.#pathOf(segment.inode), cause);
      }
    }
    to.bytes.fill(0, end, usedSectors(end) * SECTOR_SIZE); // not secret: past the end
    return end;
  }

  close(): void {
    this.#closeFile();
    this.#directories.close();
  }

  /**
   * The stamp tells the file by its device and number, so it does not matter which directories led to it.
   * @throws CkptfsError `source-changed` when the names lead to another file than the scan saw
   */
  #open(inode: number, stamp: string): void {
    if (this.#inode === inode) return;
    this.#closeFile();
    const place = this.#place(inode);
    if (place === undefined) throw new CkptfsError('internal', `inode ${inode} of the source is not a file`);
    this.#fd = this.#directories.get(place.parent).openFile(place.name, fsConstants.O_RDONLY);
    this.#inode = inode;
    if (stampOf(fstatSync(this.#fd, { bigint: true })) !== stamp) throw sourceChanged(this.#pathOf(inode));
  }

  #closeFile(): void {
    if (this.#inode !== undefined) closeSync(this.#fd);
    this.#inode = undefined;
  }

  #pathOf(inode: number): string {
    return printable(pathInTree(this.#location, inode, this.#place), MAX_PATH_SHOWN);
  }
}
