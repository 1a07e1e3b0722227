import { allVectors } from '../../scripts/vectors/all.ts';
import { sha256 } from '../../scripts/vectors/seal.ts';
import { type ChunkVector, type ObjectVector, type Packed, unpack } from '../../scripts/vectors/vector.ts';
import { CkptfsError } from '../../src/base/errors.ts';
import { Region } from '../../src/base/linux/native.ts';
import type { ChunkCipher } from '../../src/crypto/chunk-cipher.ts';
import { createChunkCipher } from '../../src/crypto/chunk-ciphers.ts';
import { Secret } from '../../src/crypto/secret.ts';
import { primitives } from '../../src/crypto/select.ts';
import { Geometry } from '../../src/format/geometry.ts';
import type { Image } from '../../src/image/read/image.ts';
import { ImageReader } from '../../src/image/read/image-reader.ts';
import { MemoryStore } from '../support/memory-store.ts';
import { NO_TIMES } from '../support/times.ts';
import { mutate, mutateInPlace } from './mutate.ts';
import type { Random } from './random.ts';
import { type FuzzTarget, must } from './target.ts';

const PAGE = 4096;

function good<V extends ObjectVector | ChunkVector>(vector: V): { vector: V; stored: Buffer; data: Buffer } {
  return { vector, stored: unpack(vector.input), data: unpack((vector.expected as { data: Packed }).data) };
}

/**
 * A whole object file read through the manifest's chain, also with a tag page that the manifest vouches for: either the
 * right bytes or `damaged`, and then nothing.
 */
export const objectTarget: FuzzTarget = {
  name: 'object',
  prepare: () => {
    const seeds = (Object.values(allVectors.object) as ObjectVector[])
      .filter(({ stage, chunks }) => stage === 'ok' && chunks <= 2)
      .map(good);
    const imageKey = Secret.copy(Buffer.from(seeds[0]?.vector.imageKey ?? '', 'hex'));
    return {
      attempt: (random) => {
        const { vector, stored, data } = random.pick(seeds);
        const input = random.chance(6) ? mutate(stored, random) : mutateObject(stored, random);
        const resealed = random.chance(2);
        return { input, check: () => checkObject(vector, input, data, imageKey, resealed) };
      },
    };
  },
};

/** Each part of the file as often as the others. */
function mutateObject(stored: Buffer, random: Random): Buffer {
  const start = random.below(3) * PAGE;
  const end = start === 2 * PAGE ? stored.length : start + (random.chance(2) ? 64 : PAGE);
  const part = mutateInPlace(stored.subarray(start, end), random);
  return Buffer.concat([stored.subarray(0, start), part, stored.subarray(end)]);
}

function checkObject(vector: ObjectVector, file: Buffer, data: Buffer, imageKey: Secret, resealed: boolean): string {
  const store = new MemoryStore();
  store.objects.set(vector.objectId, file);
  const digests = resealed ? sha256(file.subarray(PAGE, 2 * PAGE)) : Buffer.from(vector.digests.join(''), 'hex');
  const image = imageOf(vector, store, digests, imageKey);
  const reader = new ImageReader(image, vector.chunkSize);
  const out = new Region(Buffer.alloc(data.length, 0x5a));
  try {
    const [, inode] = image.manifest.inodes;
    must(inode?.type === 'file' && reader.read(inode, 0, data.length, out, 0) === data.length, 'a short read');
    must(out.bytes.equals(data), 'wrong bytes');
    return 'right';
  } catch (error) {
    if (!(error instanceof CkptfsError)) throw error;
    must(error.code === 'damaged', `refused with ${error.code}`);
    must(!out.bytes.some((byte) => byte !== 0), 'bytes of a damaged file were given out');
    return 'damaged';
  } finally {
    reader.close();
  }
}

function imageOf(vector: ObjectVector, store: MemoryStore, digests: Buffer, imageKey: Secret): Image {
  const { cipher, chunkSize, chunks } = vector;
  const metadata = { mode: 0, uid: 0, gid: 0, ...NO_TIMES, xattrs: [] };
  const size = chunks * chunkSize;
  const extents = [{ fileOffset: 0, object: 0, objectOffset: 0, length: size }];
  return {
    store,
    imageKey,
    manifestSize: 0,
    manifestDigest: new Uint8Array(32),
    header: { imageId: Buffer.from(vector.imageId, 'hex'), cipher, chunkSize, slots: [], mac: Buffer.alloc(32) },
    manifest: {
      epoch: 1,
      objects: [{ id: Buffer.from(vector.objectId, 'hex'), chunks, digests }],
      inodes: [
        { type: 'directory', ...metadata },
        { type: 'file', ...metadata, size, extents },
      ],
      entries: [],
    },
  };
}

/** A chunk and its record alone, in both implementations of the primitives: right, or nothing is given out. */
export const chunkTarget: FuzzTarget = {
  name: 'chunk',
  prepare: () => {
    const seeds = (Object.values(allVectors.chunk) as ChunkVector[])
      .filter(({ stage, chunkSize }) => stage === 'ok' && chunkSize <= 16384)
      .flatMap((vector) =>
        (['openssl', 'node'] as const).map((name) => ({ ...good(vector), cipher: cipherOf(vector, name) })),
      );
    return {
      attempt: (random) => {
        const { vector, stored, data, cipher } = random.pick(seeds);
        const part = random.below(3);
        const record =
          part > 0 ? mutateInPlace(Buffer.from(vector.record, 'hex'), random) : Buffer.from(vector.record, 'hex');
        const chunk = part < 2 ? mutateInPlace(stored, random) : Buffer.from(stored);
        const index = random.chance(9) ? random.u32() : vector.index;
        const input = Buffer.concat([record, chunk]);
        return { input, check: () => checkChunk(cipher, index, new Region(chunk), new Region(record), data) };
      },
    };
  },
};

function cipherOf(vector: ChunkVector, name: 'openssl' | 'node'): ChunkCipher {
  const [imageId, objectId] = [vector.imageId, vector.objectId].map((id) => Buffer.from(id, 'hex')) as [Buffer, Buffer];
  const imageKey = Secret.copy(Buffer.from(vector.imageKey, 'hex'));
  return createChunkCipher(
    primitives(name),
    vector.cipher,
    imageKey,
    imageId,
    objectId,
    new Geometry(vector.chunkSize, vector.suite),
  );
}

function checkChunk(cipher: ChunkCipher, index: number, chunk: Region, record: Region, data: Buffer): string {
  const out = new Region(Buffer.alloc(data.length, 0x5a));
  const isOpened = cipher.open(index, 0, data.length / PAGE, chunk, 0, record, 0, out, 0);
  must((cipher.verify(index, chunk, 0, record, 0) === 0) === isOpened, 'verifying says another thing than opening');
  if (isOpened) must(out.bytes.equals(data), 'wrong bytes');
  else must(!out.bytes.some((byte) => byte !== 0), 'what was not authentic was not wiped');
  return isOpened ? 'right' : 'refused';
}
