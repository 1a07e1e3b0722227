import fs from 'node:fs';
import { ioError, systemErrorName } from '../base/errors.ts';
import { Region } from '../base/native.ts';
import { createChunkCipher } from '../crypto/chunk-cipher.ts';
import { Secret } from '../crypto/secret.ts';
import { primitives } from '../crypto/select.ts';
import { fillRandom } from '../crypto/system-random.ts';
import type { CipherName } from '../format/ciphers.ts';
import { CHUNKS_PER_GROUP, Geometry, PAGE_SIZE, RECORD_SIZE, SECTOR_SIZE } from '../format/geometry.ts';
import { DIGEST_SIZE } from '../format/manifest.ts';
import { encodeObjectHeader } from '../format/object-header.ts';
import { NONCE_SIZE } from '../format/record.ts';
import { openWritableStore } from '../stores/open-store.ts';
import type { StorePlace } from '../stores/store.ts';
import { type Segment, usedSectors } from './plan.ts';
import { sourceChanged, stampOf } from './scan-source.ts';
import type { JobWorker } from './worker.ts';

export interface SealSetup {
  readonly job: 'seal';
  readonly store: StorePlace;
  readonly cipher: CipherName;
  readonly chunkSize: number;
  readonly imageId: Uint8Array;
  readonly imageKey: SharedArrayBuffer;
}

/** One group of one object: read it from the source, encrypt it, write it. */
export interface SealTask {
  readonly objectId: Uint8Array;
  readonly object: number;
  readonly group: number;
  /** Within the group, without gaps from its first byte on. */
  readonly segments: readonly Segment[];
}

/** SHA-256 of the group's tag page. */
export type SealResult = Uint8Array;

export function sealWorker(setup: SealSetup): JobWorker {
  const geometry = new Geometry(setup.chunkSize);
  const crypto = primitives();
  const imageKey = Secret.fromShared(setup.imageKey);
  const store = openWritableStore(setup.store);
  const plain = new Region(geometry.groupSize);
  const stored = new Region(geometry.groupStride);
  const digest = new Region(DIGEST_SIZE);
  const nonces = new Region(CHUNKS_PER_GROUP * NONCE_SIZE);
  const source = new SourceReader();

  const run = (task: SealTask): SealResult => {
    const id = Buffer.from(task.objectId);
    const length = source.read(task.segments, plain);
    const chunks = geometry.chunksFor(length);
    stored.bytes.fill(0, 0, PAGE_SIZE);
    // For the whole group by one call, and for no other: see Nonces.
    fillRandom(nonces, 0, chunks * NONCE_SIZE);
    const cipher = createChunkCipher(crypto, setup.cipher, imageKey, setup.imageId, id, geometry);
    try {
      for (let i = 0; i < chunks; i++) {
        const used = Math.min(geometry.sectorsPerChunk, usedSectors(length - i * geometry.chunkSize));
        const holes = geometry.holeMask & ~(2 ** used - 1);
        const at = i * geometry.chunkSize;
        const record = i * RECORD_SIZE;
        stored.bytes.set(nonces.bytes.subarray(i * NONCE_SIZE, (i + 1) * NONCE_SIZE), record);
        cipher.seal(task.group * CHUNKS_PER_GROUP + i, holes, plain, at, stored, PAGE_SIZE + at, stored, record);
      }
    } finally {
      cipher.dispose();
    }
    const file = store.openObjectForWriting(id.toString('hex'));
    try {
      if (task.group === 0) {
        const header = encodeObjectHeader(setup.cipher, setup.chunkSize, setup.imageId, id);
        file.write(new Region(header), 0, PAGE_SIZE, 0);
      }
      const end = PAGE_SIZE + usedSectors(length) * SECTOR_SIZE;
      file.write(stored, 0, end, geometry.tagPageOffset(task.group));
    } finally {
      file.close();
    }
    crypto.sha256(stored, 0, PAGE_SIZE, digest, 0);
    return Uint8Array.from(digest.bytes);
  };

  return {
    run: (task) => run(task as SealTask),
    close: () => {
      source.close();
      store.close();
      plain.bytes.fill(0);
    },
  };
}

/** What opening a regular file gives that has been removed, or replaced by a link or a socket. */
const goneErrors: ReadonlySet<string> = new Set(['ENOENT', 'ENOTDIR', 'ELOOP', 'ENXIO']);

/** Reads segments of source files; keeps the last file open, since a big one comes in many pieces. */
class SourceReader {
  #path: Buffer | undefined;
  #fd = -1;

  /** Fills `to` and zeros up to the end of the last sector; returns the number of bytes before those zeros. */
  read(segments: readonly Segment[], to: Region): number {
    let end = 0;
    for (const segment of segments) {
      const path = Buffer.from(segment.path);
      end = segment.objectOffset + segment.length;
      try {
        this.#open(path, segment.stamp);
        let done = 0;
        while (done < segment.length) {
          const at = segment.objectOffset + done;
          const count = fs.readSync(this.#fd, to.bytes, at, segment.length - done, segment.fileOffset + done);
          if (count === 0) throw sourceChanged(path);
          done += count;
        }
      } catch (cause) {
        if (goneErrors.has(systemErrorName(cause) ?? '')) throw sourceChanged(path);
        throw ioError('read', path.toString(), cause);
      }
    }
    to.bytes.fill(0, end, usedSectors(end) * SECTOR_SIZE);
    return end;
  }

  close(): void {
    if (this.#path !== undefined) fs.closeSync(this.#fd);
    this.#path = undefined;
  }

  /** @throws CkptfsError `source-changed` when the path leads to another file than the scan saw: also one above it may be a link now */
  #open(path: Buffer, stamp: string): void {
    if (this.#path?.equals(path) === true) return;
    this.close();
    this.#fd = fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW | fs.constants.O_NONBLOCK);
    this.#path = path;
    if (stampOf(fs.fstatSync(this.#fd, { bigint: true })) !== stamp) throw sourceChanged(path);
  }
}
