import { type Cipher, ciphers, filler, flipped, PAGE, replaced, u16 } from './encode.ts';
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

function given(keys: ObjectKeys, chunk: ChunkFields, { stored, record }: SealedChunk) {
  const { suite, imageKey, imageId, objectId, cipher } = keys;
  return {
    kind: 'chunk',
    imageKey: imageKey.toString('hex'),
    imageId: imageId.toString('hex'),
    objectId: objectId.toString('hex'),
    ...(suite === undefined ? {} : { suite }),
    cipher,
    chunkSize: chunk.plain.length,
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

export const chunkVectors: NamedVectors = Object.assign(
  {},
  ...ciphers.map(ofCipher),
  ofFips('aes-256-xts'),
  ofFips('aes-256-gcm'),
);
