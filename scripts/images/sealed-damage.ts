import { MalformedError } from '../../src/base/bytes.ts';
import type { Manifest } from '../../src/format/manifest.ts';
import { encodeManifest } from '../../src/format/manifest-codec.ts';
import { filler, replaced, u8, u16, u32 } from '../vectors/encode.ts';
import { type ObjectKeys, sealChunk, sealHeader, sealManifest, sha256 } from '../vectors/seal.ts';
import { type Damage, damaged, FIRST_CHUNK, ObjectOfFile, type OpenedBase, PAGE, refused } from './damage.ts';

/** What only a holder of the image key can make: bytes of the future, and of the past. */
export function sealedDamage(base: OpenedBase): Readonly<Record<string, Damage>> {
  const { header, manifest } = base.image;
  const { cipher, chunkSize, imageId, slots } = header;
  const imageKey = Buffer.from(base.image.imageKey.bytes);
  const one = new ObjectOfFile(base, 'sparse-1.img');
  const keys: ObjectKeys = { cipher, imageKey, imageId, objectId: Buffer.from(one.id, 'hex') };
  const plain = encodeManifest(manifest, chunkSize);
  const fields = { format: 'ckptfs', version: 1, image: imageId.toString('hex'), cipher, chunkSize, slots };

  const manifestOf = (label: string, bytes: Buffer, prefix?: Buffer): Buffer =>
    sealManifest({ imageKey, imageId, cipher, chunkSize, nonce: filler(label, 24) }, bytes, prefix);
  const withHeader = (description: string, message: string, name: string, change: Record<string, unknown>): Damage => ({
    ...refused(description, 'unsupported-format', message, [{ put: 'ckptfs.json', bytes: `${name}.bin` }]),
    files: { [`${name}.bin`]: Buffer.from(sealHeader({ ...fields, ...change }, imageKey, imageId)) },
  });
  const withManifest = (
    description: string,
    message: string,
    name: string,
    bytes: Buffer,
    prefix?: Buffer,
  ): Damage => ({
    ...refused(description, 'damaged', message, [{ put: 'manifest', bytes: `${name}.bin` }]),
    files: { [`${name}.bin`]: manifestOf(name, bytes, prefix) },
  });

  const rewritten = (label: string, flags: number, holes = 0b1000) =>
    sealChunk(keys, { index: 0, nonce: filler(label, 12), holes, flags, plain: filler(`${label} data`, chunkSize) });
  /** The manifest with the digest of another tag page of the object. */
  const withDigest = (page: Buffer): Manifest => ({
    ...manifest,
    objects: manifest.objects.map((object, at) => (at === one.index ? { ...object, digests: sha256(page) } : object)),
  });
  const pageOf = (record: Buffer): Buffer => Buffer.concat([record, Buffer.alloc(PAGE - record.length)]);
  const older = rewritten('older', 0);
  const flagged = rewritten('flagged', 1);
  const page = one.bytes.subarray(PAGE, FIRST_CHUNK);
  const longPage = replaced(page, older.record.length, older.record);
  const rewrittenObject = (name: string, description: string, reason: string, bytes: Buffer): Damage => ({
    ...damaged(
      description,
      [
        { put: one.path, bytes: `${name}.bin`, at: PAGE },
        { put: 'manifest', bytes: `${name}-manifest.bin` },
      ],
      one.lostChunks(reason),
    ),
    files: {
      [`${name}.bin`]: bytes,
      [`${name}-manifest.bin`]: manifestOf(name, encodeManifest(withDigest(bytes.subarray(0, PAGE)), chunkSize)),
    },
  });

  return {
    'version-unknown': withHeader('header version 2, sealed', 'version 2 is not known', 'version-unknown', {
      version: 2,
    }),
    'cipher-unknown': withHeader('an unknown cipher, sealed', 'is not known', 'cipher-unknown', {
      cipher: 'aes-512-xts',
    }),
    'manifest-version-unknown': withManifest(
      'manifest version 2, sealed',
      'unknown bytes',
      'manifest-version-unknown',
      plain,
      Buffer.concat([Buffer.from('ckptmfst'), u32(2), u32(0)]),
    ),
    'manifest-type-unknown': withManifest(
      'a root of inode type 9, sealed',
      'unknown type 9',
      'manifest-type-unknown',
      replaced(plain, rootAt(manifest), u8(9)),
    ),
    'manifest-mode-unknown': withManifest(
      'a mode with unknown bits, sealed',
      'mode with unknown bits',
      'manifest-mode-unknown',
      replaced(plain, rootAt(manifest) + 2, u16(0o40755)),
    ),
    'manifest-trailing-page': withManifest(
      'a page too many, sealed',
      'padded',
      'manifest-trailing-page',
      Buffer.concat([plain, Buffer.alloc(PAGE)]),
    ),
    'tag-page-older': damaged(
      'an older, authentic tag page and its chunk put back',
      [{ put: one.path, bytes: 'tag-page-older.bin', at: PAGE }],
      one.lostChunks('its tag page is not the sealed one'),
      { 'tag-page-older.bin': Buffer.concat([pageOf(older.record), older.stored]) },
    ),
    'chunk-older': damaged(
      'an older, authentic chunk put back',
      [{ put: one.path, bytes: 'chunk-older.bin', at: FIRST_CHUNK }],
      one.lostChunks('its tag does not match'),
      { 'chunk-older.bin': older.stored },
    ),
    'flag-unknown': rewrittenObject(
      'flag-unknown',
      'a chunk with an unknown flag, sealed',
      'its tag does not match',
      Buffer.concat([pageOf(flagged.record), flagged.stored]),
    ),
    'record-behind-the-last-chunk': rewrittenObject(
      'record-behind-the-last-chunk',
      'a record past the last chunk, sealed',
      'record past the last chunk',
      longPage,
    ),
  };
}

/** The offset of the root's inode in the plaintext, in bytes. */
function rootAt({ objects }: Manifest): number {
  const digests = objects.reduce((sum, object) => sum + object.digests.length, 0);
  if (objects.length === 0) throw new MalformedError('the base image has no object');
  return 20 + objects.length * 24 + digests;
}
