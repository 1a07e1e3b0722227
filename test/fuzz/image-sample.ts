import {
  directoryEntry,
  directoryInode,
  fileInode,
  filler,
  type ManifestParts,
  manifestPlaintext,
  objectEntry,
  symlinkInode,
} from '../../scripts/vectors/encode.ts';
import { imageId, imageKey, objectId } from '../../scripts/vectors/sample.ts';
import { type ObjectKeys, objectFile, sealChunk } from '../../scripts/vectors/seal.ts';
import { Secret } from '../../src/crypto/secret.ts';
import { decodeManifest } from '../../src/format/manifest-codec.ts';
import type { Image } from '../../src/image/read/image.ts';
import { MemoryStore } from '../support/memory-store.ts';

const CHUNK_SIZE = 4096;
const CHUNKS = 20;

export interface SampleImage {
  readonly image: Image;
  /** Whole files by inode number. */
  readonly files: ReadonlyMap<number, Buffer>;
}

/** A small image in memory with two files in one object, one of them with a hole, a link and two directories. */
export function sampleImage(): SampleImage {
  const keys: ObjectKeys = { cipher: 'aes-256-xts', imageKey, imageId, objectId };
  const data = filler('image sample', CHUNKS * CHUNK_SIZE);
  const chunks = Array.from({ length: CHUNKS }, (_, index) => {
    const plain = data.subarray(index * CHUNK_SIZE, (index + 1) * CHUNK_SIZE);
    return sealChunk(keys, { index, nonce: filler(`image sample ${index}`, 12), holes: 0, plain });
  });
  const { file, digests } = objectFile(keys, CHUNK_SIZE, chunks);
  const store = new MemoryStore();
  store.objects.set(objectId.toString('hex'), file);
  const parts: ManifestParts = {
    epoch: 1,
    objects: [objectEntry(objectId, CHUNKS, digests)],
    inodes: [
      directoryInode(),
      fileInode(70_000, [{ fileOffset: 0, object: 0, objectOffset: 0, length: 70_000 }]),
      fileInode(
        30_001,
        [
          { fileOffset: 4096, object: 0, objectOffset: 70_000, length: 5000 },
          { fileOffset: 30_000, object: 0, objectOffset: 75_000, length: 1 },
        ],
        { xattrs: [['user.a', filler('value', 100)]] },
      ),
      directoryInode(),
      symlinkInode(Buffer.from('../pages-1.img')),
    ],
    entries: [
      directoryEntry(1, 4, 'd'),
      directoryEntry(1, 2, 'pages-1.img'),
      directoryEntry(4, 5, 'l'),
      directoryEntry(4, 3, 's'),
    ],
  };
  const manifest = decodeManifest(manifestPlaintext(parts), CHUNK_SIZE);
  const sparse = Buffer.concat([
    Buffer.alloc(4096),
    data.subarray(70_000, 75_000),
    Buffer.alloc(30_000 - 9096),
    data.subarray(75_000, 75_001),
  ]);
  const header = { imageId, cipher: keys.cipher, chunkSize: CHUNK_SIZE, slots: [], mac: Buffer.alloc(32) };
  return {
    image: {
      store,
      header,
      manifest,
      imageKey: Secret.copy(imageKey),
      manifestSize: 0,
      manifestDigest: new Uint8Array(32),
    },
    files: new Map([
      [2, data.subarray(0, 70_000)],
      [3, sparse],
    ]),
  };
}
