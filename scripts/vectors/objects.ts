import { type Cipher, ciphers, filler, flipped, objectHeader, PAGE, replaced, u8, u32 } from './encode.ts';
import { imageId, objectId, objectKeys } from './sample.ts';
import { objectFile, type SealedChunk, sealChunk, sha256 } from './seal.ts';
import { type NamedVectors, type ObjectVector, pack } from './vector.ts';

interface SampleObject {
  readonly cipher: Cipher;
  readonly chunkSize: number;
  readonly file: Buffer;
  readonly digests: readonly Buffer[];
  readonly chunks: number;
  readonly data: Buffer;
}

/** An object whose chunks are filled from the front, as encrypting makes it: what is past `length` is a hole. */
function sample(cipher: Cipher, chunkSize: number, chunks: number, length: number): SampleObject {
  const data = Buffer.alloc(chunks * chunkSize);
  data.set(filler('object data', length));
  const sealed = Array.from({ length: chunks }, (_, index): SealedChunk => {
    const used = Math.min(chunkSize, Math.max(0, length - index * chunkSize));
    const sectors = Math.ceil(used / PAGE);
    const holes = (2 ** (chunkSize / PAGE) - 1) & ~(2 ** sectors - 1);
    const plain = data.subarray(index * chunkSize, (index + 1) * chunkSize);
    return sealChunk(objectKeys(cipher), { index, nonce: filler(`object nonce ${index}`, 12), holes, plain });
  });
  return { cipher, chunkSize, chunks, data, ...objectFile(objectKeys(cipher), chunkSize, sealed) };
}

function given({ cipher, chunkSize, chunks, digests, file }: SampleObject) {
  const { imageKey } = objectKeys(cipher);
  return {
    kind: 'object',
    imageKey: imageKey.toString('hex'),
    imageId: imageId.toString('hex'),
    objectId: objectId.toString('hex'),
    cipher,
    chunkSize,
    chunks,
    digests: digests.map((digest) => digest.toString('hex')),
    input: pack(file),
  } as const;
}

function opens(description: string, object: SampleObject): ObjectVector {
  return { description, stage: 'ok', ...given(object), expected: { data: pack(object.data) } };
}

const small = sample('aes-256-xts', 4096, 2, 5000);
const CHUNK_AT = 2 * PAGE;

function refused(stage: ObjectVector['stage'], description: string, message: string, change: Partial<SampleObject>) {
  return { description, stage, ...given({ ...small, ...change }), expected: { code: 'damaged', message } } as const;
}

function badFile(description: string, file: Buffer): ObjectVector {
  return refused('object', description, `has ${file.length} bytes`, { file });
}

function badHeader(description: string, change: (file: Buffer) => Buffer): ObjectVector {
  return refused('object', description, 'header page', { file: change(small.file) });
}

function badPage(description: string, change: Partial<SampleObject>): ObjectVector {
  return refused('tag page', description, 'tag page is not the sealed one', change);
}

function badChunk(description: string, file: Buffer): ObjectVector {
  return refused('chunk', description, 'its tag does not match', { file });
}

/** The object with another tag page, whose digest the manifest has: only a holder of the key can make it. */
function sealedPage(page: Buffer): Partial<SampleObject> {
  return { file: replaced(small.file, PAGE, page), digests: [sha256(page)] };
}

/** An earlier version of the object, with other nonces and other data, all of it authentic. */
const older = objectFile(
  objectKeys('aes-256-xts'),
  4096,
  [0, 1].map((index) =>
    sealChunk(objectKeys('aes-256-xts'), {
      index,
      nonce: filler(`older nonce ${index}`, 12),
      holes: 0,
      plain: filler(`older data ${index}`, PAGE),
    }),
  ),
).file;
const page = small.file.subarray(PAGE, 2 * PAGE);
const otherHeader = (cipher: Cipher, chunkSize: number) => (file: Buffer) =>
  replaced(file, 0, objectHeader(cipher, chunkSize, imageId, objectId));

export const objectVectors: NamedVectors = {
  ...Object.fromEntries(
    ciphers.map((cipher) => [
      cipher,
      opens(`${cipher}, 8 KiB chunks, the last half a hole`, sample(cipher, 8192, 2, 9000)),
    ]),
  ),
  'one-byte': opens('one byte', sample('aes-256-xts', 4096, 1, 1)),
  'one-group': opens('128 chunks, one tag page; all holes but the first', sample('aes-256-xts', 4096, 128, 1)),
  'two-groups': opens('129 chunks, two tag pages; all holes but the first', sample('aes-256-xts', 4096, 129, 1)),
  empty: badFile('an empty file', Buffer.alloc(0)),
  'cut-by-a-byte': badFile('the last byte is missing', small.file.subarray(0, -1)),
  'cut-by-a-chunk': badFile('the last chunk is missing', small.file.subarray(0, -PAGE)),
  'trailing-byte': badFile('a byte after the last chunk', Buffer.concat([small.file, Buffer.of(0)])),
  'trailing-chunk': badFile('a chunk after the last one', Buffer.concat([small.file, Buffer.alloc(PAGE)])),
  'header-magic': badHeader('another magic', (file) => flipped(file, 0)),
  'header-version-2': badHeader('version 2', (file) => replaced(file, 8, u32(2))),
  'header-cipher': badHeader('another cipher', otherHeader('aes-128-xts', 4096)),
  'header-chunk-size': badHeader('another chunk size', otherHeader('aes-256-xts', 8192)),
  'header-reserved': badHeader('a reserved byte of 1', (file) => replaced(file, 14, u8(1))),
  'header-image-id': badHeader('the object of another image', (file) => flipped(file, 16)),
  'header-object-id': badHeader('another object under this name', (file) => flipped(file, 47)),
  'header-padding': badHeader('the last byte of the page is 1', (file) => replaced(file, PAGE - 1, u8(1))),
  'page-nonce-flipped': badPage('one bit of a nonce is another', { file: flipped(small.file, PAGE) }),
  'page-tag-flipped': badPage('one bit of a tag is another', { file: flipped(small.file, PAGE + 16) }),
  'page-holes-flipped': badPage('one bit of a hole map is another', { file: flipped(small.file, PAGE + 12) }),
  'page-flags-flipped': badPage('one flag is set', { file: flipped(small.file, PAGE + 14) }),
  'page-last-byte': badPage('the last byte of the page is 1', { file: replaced(small.file, 2 * PAGE - 1, u8(1)) }),
  'page-records-swapped': badPage('the records of two chunks swapped', {
    file: replaced(small.file, PAGE, Buffer.concat([page.subarray(32, 64), page.subarray(0, 32)])),
  }),
  'page-older': badPage('an older, authentic tag page and its chunks put back', { file: older }),
  'page-record-behind-the-last': refused(
    'tag page',
    'sealed with a record past the last chunk',
    'past the last chunk',
    {
      ...sealedPage(replaced(page, 64, page.subarray(0, 32))),
    },
  ),
  'chunk-flipped': badChunk('one bit of the last chunk is another', flipped(small.file, CHUNK_AT + 2 * PAGE - 1, 7)),
  'chunks-swapped': badChunk(
    'two chunks swapped',
    replaced(
      small.file,
      CHUNK_AT,
      Buffer.concat([small.file.subarray(CHUNK_AT + PAGE), small.file.subarray(CHUNK_AT, CHUNK_AT + PAGE)]),
    ),
  ),
  'chunk-older': badChunk(
    'an older chunk put back',
    replaced(small.file, CHUNK_AT, older.subarray(CHUNK_AT, CHUNK_AT + PAGE)),
  ),
  'chunk-zeroed': badChunk('a chunk of zeros', replaced(small.file, CHUNK_AT, Buffer.alloc(PAGE))),
  'chunk-records-swapped-sealed': refused('chunk', 'sealed with swapped records', 'its tag does not match', {
    ...sealedPage(replaced(page, 0, Buffer.concat([page.subarray(32, 64), page.subarray(0, 32)]))),
  }),
};
