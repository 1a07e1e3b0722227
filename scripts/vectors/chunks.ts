import { type Cipher, ciphers, filler, flipped, PAGE, replaced, u16, u32 } from './encode.ts';
import { objectKeys } from './sample.ts';
import { type ChunkFields, type NamedSuite, type ObjectKeys, type SealedChunk, sealChunk } from './seal.ts';
import { type ChunkVector, type NamedVectors, pack } from './vector.ts';

function titleOf(cipher: Cipher, suite?: NamedSuite): string {
  return suite === undefined ? cipher : `${cipher} of suite ${suite}`;
}

/** A chunk whose every other sector repeats, so that a tweak that does not change would show. */
function plaintext(size: number): Buffer {
  const one = filler('sector', PAGE);
  return Buffer.concat(
    Array.from({ length: size / PAGE }, (_, at) => (at % 2 === 0 ? one : filler(`sector ${at}`, PAGE))),
  );
}

function fields(size: number, change: Partial<ChunkFields> = {}): ChunkFields {
  return { index: 5, nonce: filler('chunk nonce', 12), holes: 0, plain: plaintext(size), ...change };
}

function withoutHoles({ plain, holes }: ChunkFields): Buffer {
  const clear = Buffer.from(plain);
  for (let sector = 0; sector < plain.length / PAGE; sector++) {
    if ((holes >> sector) & 1) clear.fill(0, sector * PAGE, (sector + 1) * PAGE);
  }
  return clear;
}

/** Bytes with two parts of the same length swapped. */
function swapped(bytes: Buffer, one: number, two: number, length: number): Buffer {
  const [first, second] = [bytes.subarray(one, one + length), bytes.subarray(two, two + length)];
  return replaced(replaced(bytes, one, second), two, first);
}

function given(
  keys: ObjectKeys,
  chunk: ChunkFields,
  { stored, record }: SealedChunk,
  compression?: ChunkVector['compression'],
) {
  const { suite, imageKey, imageId, objectId, cipher } = keys;
  return {
    kind: 'chunk',
    imageKey: imageKey.toString('hex'),
    imageId: imageId.toString('hex'),
    objectId: objectId.toString('hex'),
    ...(suite === undefined ? {} : { suite }),
    cipher,
    chunkSize: chunk.plain.length,
    ...(compression === undefined ? {} : { compression }),
    index: chunk.index,
    record: record.toString('hex'),
    input: pack(stored),
  } as const;
}

function opens(description: string, cipher: Cipher, chunk: ChunkFields, suite?: NamedSuite): ChunkVector {
  const keys = { ...objectKeys(cipher), suite };
  const sealed = sealChunk(keys, chunk);
  return {
    description: `${titleOf(cipher, suite)}: ${description}`,
    stage: 'ok',
    ...given(keys, chunk, sealed),
    expected: { data: pack(withoutHoles(chunk)) },
  };
}

function refused(
  description: string,
  cipher: Cipher,
  chunk: ChunkFields,
  change: (sealed: SealedChunk) => Partial<SealedChunk & { readonly index: number }>,
  suite?: NamedSuite,
): ChunkVector {
  const keys = { ...objectKeys(cipher), suite };
  const sealed = sealChunk(keys, chunk);
  const { index = chunk.index, ...bytes } = change(sealed);
  return {
    description: `${titleOf(cipher, suite)}: ${description}`,
    stage: 'chunk',
    ...given(keys, { ...chunk, index }, { ...sealed, ...bytes }),
    expected: { code: 'damaged', message: 'its tag does not match' },
  };
}

function ofCipher(cipher: Cipher): NamedVectors {
  const one = fields(PAGE);
  const vectors: NamedVectors = {
    'one-sector': opens('a chunk of one sector', cipher, one),
    'holes-1-and-3': opens('four sectors of which two are holes', cipher, fields(4 * PAGE, { holes: 0b1010 })),
    'hole-first': opens('two sectors of which the first is a hole', cipher, fields(2 * PAGE, { holes: 0b01 })),
    'all-holes': opens('sixteen sectors, all holes', cipher, fields(16 * PAGE, { holes: 0xffff })),
    'index-2-32': opens('chunk 2^32 - 1', cipher, { ...one, index: 2 ** 32 - 1 }),
    'tag-flipped': refused('one bit of the tag is another', cipher, one, ({ record }) => ({
      record: flipped(record, 27, 7),
    })),
    'nonce-flipped': refused('one bit of the nonce is another', cipher, one, ({ record }) => ({
      record: flipped(record, 0),
    })),
    'nonce-sector-bit': refused('a bit of a sector in the nonce of the record', cipher, one, ({ record }) => ({
      record: flipped(record, 11),
    })),
    'padding-not-zero': refused('a byte after the tags that is not zero', cipher, fields(2 * PAGE), ({ record }) => ({
      record: flipped(record, 63, 7),
    })),
    'tag-of-last-flipped': refused('one bit of the last tag is another', cipher, fields(4 * PAGE), ({ record }) => ({
      record: flipped(record, 63, 7),
    })),
    'tag-of-hole-flipped': refused(
      'one bit of the tag of a hole is another',
      cipher,
      fields(2 * PAGE, { holes: 0b10 }),
      ({ record }) => ({ record: flipped(record, 28) }),
    ),
    'tags-swapped': refused('the tags of two sectors swapped', cipher, fields(4 * PAGE), ({ record }) => ({
      record: swapped(record, 16, 28, 12),
    })),
    'sectors-swapped': refused('two sectors swapped', cipher, fields(4 * PAGE), ({ stored }) => ({
      stored: swapped(stored, PAGE, 3 * PAGE, PAGE),
    })),
    'sectors-and-tags-swapped': refused(
      'two sectors swapped, with their tags',
      cipher,
      fields(4 * PAGE),
      ({ stored, record }) => ({ stored: swapped(stored, 0, PAGE, PAGE), record: swapped(record, 16, 28, 12) }),
    ),
    'sector-of-another-chunk': refused(
      'a sector and its tag of another chunk with the same nonce',
      cipher,
      fields(2 * PAGE),
      ({ stored, record }) => {
        const other = sealChunk(objectKeys(cipher), { ...fields(2 * PAGE), index: 6 });
        return {
          stored: replaced(stored, PAGE, other.stored.subarray(PAGE)),
          record: replaced(record, 28, other.record.subarray(28, 40)),
        };
      },
    ),
    'data-flipped': refused('one bit of the data is another', cipher, one, ({ stored }) => ({
      stored: flipped(stored, 4095, 7),
    })),
    'index-other': refused('moved to another index', cipher, one, () => ({ index: 6 })),
    'flag-unauthenticated': refused('a flag set after sealing', cipher, one, ({ record }) => ({
      record: flipped(record, 14),
    })),
    'flag-authentic': refused('an unknown flag, sealed with the chunk', cipher, { ...one, flags: 1 }, () => ({})),
    'flag-last-authentic': refused(
      'the last flag, sealed with the chunk',
      cipher,
      { ...one, flags: 0x8000 },
      () => ({}),
    ),
    'hole-beyond-authentic': refused(
      'a hole past the last sector, sealed so',
      cipher,
      { ...one, holes: 0b10 },
      () => ({}),
    ),
    'hole-added': refused('a hole set after sealing', cipher, fields(2 * PAGE), ({ record, stored }) => ({
      record: replaced(record, 12, u16(0b10)),
      stored: replaced(stored, PAGE, Buffer.alloc(PAGE)),
    })),
    'hole-removed': refused('a hole filled after sealing', cipher, fields(2 * PAGE, { holes: 0b10 }), ({ record }) => ({
      record: replaced(record, 12, u16(0)),
    })),
    'zero-record': refused('a record of zeros', cipher, one, () => ({ record: Buffer.alloc(32) })),
  };
  return Object.fromEntries(Object.entries(vectors).map(([name, vector]) => [`${cipher}-${name}`, vector]));
}

/** Vectors of suite `fips`, whose nonces have no bits of a sector. */
function ofFips(cipher: 'aes-256-xts' | 'aes-256-gcm'): NamedVectors {
  const one = fields(PAGE, { nonce: Buffer.alloc(12, 0xff) });
  const ofSuite = (description: string, chunk: ChunkFields) => opens(description, cipher, chunk, 'fips');
  const flippedIn = (description: string, at: number, bit: number) =>
    refused(description, cipher, one, ({ record }) => ({ record: flipped(record, at, bit) }), 'fips');
  const vectors: NamedVectors = {
    'one-sector': ofSuite('a chunk of one sector, whose nonce has every bit', one),
    'holes-1-and-3': ofSuite('four sectors of which two are holes', fields(4 * PAGE, { holes: 0b1010 })),
    'all-holes': ofSuite('sixteen sectors, all holes', fields(16 * PAGE, { holes: 0xffff })),
    'nonce-flipped': flippedIn('one bit of the nonce is another', 0, 0),
    'nonce-last-flipped': flippedIn('the last bit of the nonce is another', 11, 7),
    'nonce-low-flipped': flippedIn('a bit that has the number of a sector in other suites', 11, 0),
    'tag-flipped': flippedIn('one bit of the tag is another', 27, 7),
    'flag-unauthenticated': flippedIn('a flag set after sealing', 14, 0),
    'sectors-and-tags-swapped': refused(
      'two sectors swapped, with their tags',
      cipher,
      fields(4 * PAGE),
      ({ stored, record }) => ({ stored: swapped(stored, 0, PAGE, PAGE), record: swapped(record, 16, 28, 12) }),
      'fips',
    ),
    'of-default': refused(
      'a chunk of the default suite',
      cipher,
      fields(PAGE),
      () => sealChunk(objectKeys(cipher), fields(PAGE)),
      'fips',
    ),
  };
  return Object.fromEntries(Object.entries(vectors).map(([name, vector]) => [`fips-${cipher}-${name}`, vector]));
}

/**
 * What gives 16 KiB, 8 KiB and 16 KiB + 1 of the letter a, of zstd 1.5.4 at level 3 and of lz4 1.9.4. Other versions of
 * them may make other streams.
 */
const streams = {
  zstd: {
    whole: '28b52ffd60003f4d00001061610100fb9f0758',
    half: '28b52ffd60001f4d00001061610100fbdf032c',
    more: '28b52ffd60013f4d00001061610100fc9f0758',
  },
  lz4: {
    whole: `1f610100${'ff'.repeat(64)}27506161616161`,
    half: `1f610100${'ff'.repeat(32)}07506161616161`,
    more: `1f610100${'ff'.repeat(64)}28506161616161`,
  },
} as const;

/** A chunk of four sectors whose content is a stream, as a writer stores it unless told. */
function compressed(stream: string, change: Partial<ChunkFields> = {}, length = stream.length / 2): ChunkFields {
  const plain = Buffer.concat([u32(length), Buffer.from(stream, 'hex')], 4 * PAGE);
  return { ...fields(4 * PAGE), sectors: 1, plain, ...change };
}

function ofCompression(compression: 'zstd' | 'lz4', cipher: Cipher): NamedVectors {
  const { whole, half, more } = streams[compression];
  const opened = (description: string, chunk: ChunkFields, data: Buffer): ChunkVector => {
    const keys = objectKeys(cipher);
    const stage = { description: `${compression}, ${cipher}: ${description}`, stage: 'ok' } as const;
    return { ...stage, ...given(keys, chunk, sealChunk(keys, chunk), compression), expected: { data: pack(data) } };
  };
  const notOpened = (description: string, chunk: ChunkFields, message = 'its content does not decompress') => {
    const keys = objectKeys(cipher);
    const stage = { description: `${compression}, ${cipher}: ${description}`, stage: 'chunk' } as const;
    const expected = { code: 'damaged', message };
    return { ...stage, ...given(keys, chunk, sealChunk(keys, chunk), compression), expected } as const;
  };
  const noTag = 'its tag does not match';
  const halfOfIt = Buffer.concat([Buffer.alloc(PAGE, 'a'), Buffer.alloc(PAGE), Buffer.alloc(PAGE, 'a')], 4 * PAGE);
  const vectors: NamedVectors = {
    whole: opened('a chunk in one sector', compressed(whole), Buffer.alloc(4 * PAGE, 'a')),
    holes: opened('a chunk with two holes in one sector', compressed(half, { holes: 0b1010 }), halfOfIt),
    'not-compressed': opened('a chunk as it is', fields(4 * PAGE), plaintext(4 * PAGE)),
    'all-sectors': notOpened('as many sectors as have content', compressed(half, { holes: 0b1010, sectors: 2 }), noTag),
    'too-many-sectors': notOpened('more sectors than there are', compressed(whole, { flags: 16 }), noTag),
    'sector-too-many': notOpened('a sector more than the stream takes', compressed(whole, { sectors: 2 })),
    'length-zero': notOpened('a stream of no bytes', compressed(whole, {}, 0)),
    'length-short': notOpened('a length without the last byte', compressed(whole, {}, whole.length / 2 - 1)),
    'length-long': notOpened('a length with a byte after the stream', compressed(whole, {}, whole.length / 2 + 1)),
    'length-huge': notOpened('the greatest length', compressed(whole, {}, 2 ** 32 - 1)),
    'too-little': notOpened('a stream of half the chunk', compressed(half)),
    'too-much': notOpened('a stream of one byte more', compressed(more)),
    'not-zeros': notOpened('something after the stream', {
      ...compressed(whole),
      plain: flipped(compressed(whole).plain, PAGE - 1),
    }),
    noise: notOpened('no stream at all', compressed(filler('stream', 100).toString('hex'))),
  };
  return Object.fromEntries(Object.entries(vectors).map(([name, vector]) => [`${compression}-${name}`, vector]));
}

export const chunkVectors: NamedVectors = Object.assign(
  {},
  ...ciphers.map(ofCipher),
  ofFips('aes-256-xts'),
  ofFips('aes-256-gcm'),
  ofCompression('zstd', 'aes-256-xts'),
  ofCompression('lz4', 'aes-256-gcm'),
);
