import { ciphers, filler, flipped, manifestPlaintext, PAGE, u32 } from './encode.ts';
import { full, rootOnly, small } from './manifest-samples.ts';
import { manifestKeys } from './sample.ts';
import { type ManifestKeys, type NamedSuite, sealManifest } from './seal.ts';
import { type ManifestVector, type NamedVectors, pack } from './vector.ts';

const magic = Buffer.from('ckptmfst');
const plain = manifestPlaintext(small);
const good = sealManifest(manifestKeys, plain);
const goodFips = sealManifest({ ...manifestKeys, suite: 'fips' }, plain);
const wrong = 'manifest fails authentication';

function given(input: Buffer, suite?: NamedSuite) {
  const { imageKey, imageId, cipher, chunkSize } = manifestKeys;
  return {
    kind: 'manifest',
    imageKey: imageKey.toString('hex'),
    imageId: imageId.toString('hex'),
    ...(suite === undefined ? {} : { suite }),
    cipher,
    chunkSize,
    input: pack(input),
  } as const;
}

function opens(description: string, change: Partial<ManifestKeys>, parts = small): ManifestVector {
  const keys = { ...manifestKeys, ...change };
  const { cipher, chunkSize } = keys;
  const expected = { epoch: Number(parts.epoch), inodes: parts.inodes.length };
  return {
    description,
    stage: 'ok',
    ...given(sealManifest(keys, manifestPlaintext(parts)), keys.suite),
    cipher,
    chunkSize,
    expected,
  };
}

function refused(description: string, message: string, input: Buffer, suite?: NamedSuite): ManifestVector {
  return { description, stage: 'manifest', ...given(input, suite), expected: { code: 'damaged', message } };
}

/** Authentic under another key, id, cipher or chunk size than the image has. */
function foreign(description: string, change: Partial<ManifestKeys>): ManifestVector {
  return refused(description, wrong, sealManifest({ ...manifestKeys, ...change }, plain));
}

function otherPrefix(description: string, prefix: Buffer): ManifestVector {
  return refused(description, 'unknown bytes', sealManifest(manifestKeys, plain, prefix));
}

/** Vectors of suite `fips`. */
const fips: NamedVectors = {
  'fips-aes-256-xts': opens('suite fips', { suite: 'fips' }),
  'fips-aes-256-gcm': opens('suite fips, two pages', { suite: 'fips', cipher: 'aes-256-gcm' }, full),
  'fips-random-flipped': refused('fips: a bit of the random bytes is another', wrong, flipped(goodFips, 16), 'fips'),
  'fips-random-last-flipped': refused('fips: the last of those bits', wrong, flipped(goodFips, 39, 7), 'fips'),
  'fips-ciphertext-flipped': refused('fips: a bit of the ciphertext is another', wrong, flipped(goodFips, 40), 'fips'),
  'fips-tag-flipped': refused(
    'fips: a bit of the tag is another',
    wrong,
    flipped(goodFips, goodFips.length - 1),
    'fips',
  ),
  'fips-other-image-id': refused(
    'fips: the manifest of another image id',
    wrong,
    sealManifest({ ...manifestKeys, suite: 'fips', imageId: filler('another image id', 16) }, plain),
    'fips',
  ),
  'fips-other-chunk-size': refused(
    'fips: sealed for another chunk size',
    wrong,
    sealManifest({ ...manifestKeys, suite: 'fips', chunkSize: 32768 }, plain),
    'fips',
  ),
  'fips-of-default': refused('a manifest of the default suite in an image of suite fips', wrong, good, 'fips'),
  'default-of-fips': refused('a manifest of suite fips in an image of the default suite', wrong, goodFips),
};

export const manifestVectors: NamedVectors = {
  ...fips,
  ...Object.fromEntries(ciphers.map((cipher) => [cipher, opens(`an image of cipher ${cipher}`, { cipher })])),
  'chunk-size-65536': opens('an image of 65536-byte chunks', { chunkSize: 65536 }),
  'two-pages': opens('a plaintext of more than a page', {}, full),
  'magic-other': otherPrefix('another magic, authenticated', Buffer.concat([Buffer.from('ckptmfsT'), u32(1), u32(0)])),
  'version-2': otherPrefix('version 2, authenticated', Buffer.concat([magic, u32(2), u32(0)])),
  'version-0': otherPrefix('version 0, authenticated', Buffer.concat([magic, u32(0), u32(0)])),
  'reserved-1': otherPrefix('reserved bytes of 1, authenticated', Buffer.concat([magic, u32(1), u32(1)])),
  'reserved-last': otherPrefix('the last reserved byte, authenticated', Buffer.concat([magic, u32(1), u32(2 ** 31)])),
  'nonce-flipped': refused('one bit of the nonce is another', wrong, flipped(good, 16)),
  'ciphertext-flipped': refused('one bit of the ciphertext is another', wrong, flipped(good, 40 + PAGE - 1, 7)),
  'tag-flipped': refused('one bit of the tag is another', wrong, flipped(good, good.length - 1)),
  'other-image-key': foreign('the manifest of another image key', { imageKey: filler('another image key', 32) }),
  'other-image-id': foreign('the manifest of another image id', { imageId: filler('another image id', 16) }),
  'other-cipher': foreign('sealed for another cipher', { cipher: 'none' }),
  'other-chunk-size': foreign('sealed for another chunk size', { chunkSize: 32768 }),
  empty: refused('an empty file', 'manifest of 0 bytes', Buffer.alloc(0)),
  'no-page': refused(
    'an authentic plaintext of no page',
    'manifest of 56 bytes',
    sealManifest(manifestKeys, Buffer.alloc(0)),
  ),
  'half-a-page': refused(
    'an authentic plaintext of half a page',
    'manifest of 2104 bytes',
    sealManifest(manifestKeys, plain.subarray(0, PAGE / 2)),
  ),
  'cut-by-a-byte': refused('the last byte is missing', 'manifest of', good.subarray(0, -1)),
  'cut-by-a-page': refused(
    'the last page is missing',
    wrong,
    sealManifest(manifestKeys, manifestPlaintext(full)).subarray(0, -PAGE),
  ),
  'trailing-byte': refused('a byte after the tag', 'manifest of', Buffer.concat([good, Buffer.of(0)])),
  'trailing-page': refused('a page after the tag', wrong, Buffer.concat([good, Buffer.alloc(PAGE)])),
  'plaintext-refused': refused(
    'authentic, but its plaintext breaks a rule',
    'epoch 0',
    sealManifest(manifestKeys, manifestPlaintext({ ...rootOnly, epoch: 0 })),
  ),
};
