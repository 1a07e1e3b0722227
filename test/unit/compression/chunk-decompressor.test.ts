import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Region } from '../../../src/base/linux/native.ts';
import { ChunkCompressor } from '../../../src/compression/chunk-compressor.ts';
import { ChunkDecompressor } from '../../../src/compression/chunk-decompressor.ts';
import { createCodec } from '../../../src/compression/create-codec.ts';
import { type CompressionName, compressionNames } from '../../../src/format/compressions.ts';
import { Geometry, SECTOR_SIZE } from '../../../src/format/geometry.ts';

const CHUNK = 65536;

/** Decompresses `content` between two margins, which must stay as they are. */
function decompressed(name: CompressionName, content: Uint8Array, sectors: number, holes = 0): Buffer | undefined {
  const decompressor = new ChunkDecompressor(new Geometry(CHUNK, 'default', name));
  decompressor.content.bytes.set(content);
  const to = new Region(Buffer.alloc(CHUNK + 128, 0xee));
  const isRight = decompressor.decompress(sectors, holes, to, 64);
  for (const margin of [to.bytes.subarray(0, 64), to.bytes.subarray(-64)]) {
    expect(margin.every((byte) => byte === 0xee)).toBe(true);
  }
  return isRight ? to.bytes.subarray(64, -64) : undefined;
}

/** What a writer stores of a stream. */
function contentOf(stream: Uint8Array, length = stream.length): Buffer {
  const sectors = Math.ceil((4 + stream.length) / SECTOR_SIZE);
  const content = Buffer.alloc(sectors * SECTOR_SIZE);
  content.writeUInt32LE(length);
  content.set(stream, 4);
  return content;
}

/** A stream that gives `size` bytes. */
function streamOf(name: CompressionName, size: number): Buffer {
  const [from, to] = [new Region(Buffer.alloc(size, 'some text ')), new Region(size)];
  const length = createCodec(name).compress(from, 0, size, to, 0, size);
  return to.bytes.subarray(0, length);
}

describe.each(compressionNames)('%s', (name) => {
  const right = streamOf(name, CHUNK);

  test('takes what a writer stores', () => {
    expect(decompressed(name, contentOf(right), 1)?.equals(Buffer.alloc(CHUNK, 'some text '))).toBe(true);
  });

  test('refuses a length that does not belong to the sectors', () => {
    for (const length of [0, SECTOR_SIZE - 3, 2 ** 31, 2 ** 32 - 1]) {
      expect(decompressed(name, contentOf(right, length), 1), `${length}`).toBeUndefined();
    }
    expect(decompressed(name, contentOf(right), 2)).toBeUndefined();
  });

  test('refuses another length, and anything but zeros after the stream', () => {
    expect(decompressed(name, contentOf(right, right.length - 1), 1)).toBeUndefined();
    expect(decompressed(name, contentOf(right, right.length + 1), 1)).toBeUndefined();
    const followed = contentOf(right);
    followed[SECTOR_SIZE - 1] = 1;
    expect(decompressed(name, followed, 1)).toBeUndefined();
  });

  test('refuses a stream that gives fewer or more bytes, and writes none past the chunk', () => {
    for (const size of [CHUNK - 1, CHUNK + 1, 16 * CHUNK]) {
      expect(decompressed(name, contentOf(streamOf(name, size)), 1), `${size}`).toBeUndefined();
    }
    // Of a chunk with a hole a sector less is wanted.
    expect(decompressed(name, contentOf(right), 1, 0b10)).toBeUndefined();
    expect(decompressed(name, contentOf(streamOf(name, CHUNK - SECTOR_SIZE)), 1, 0b10)).toBeDefined();
  });

  test('bears any bytes, and any change of a right stream', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 4, maxLength: 2 * SECTOR_SIZE }),
        fc.integer({ min: 1, max: 15 }),
        (bytes, sectors) => {
          const content = Buffer.alloc(sectors * SECTOR_SIZE);
          content.set(bytes.subarray(0, content.length));
          content.writeUInt32LE((sectors - 1) * SECTOR_SIZE + 1 + (bytes.length % 100));
          decompressed(name, content, sectors);
        },
      ),
      { numRuns: 200 },
    );
    const text = new Region(
      Buffer.from(Array.from({ length: CHUNK }, (_, at) => `${at * at} `).join('')).subarray(0, CHUNK),
    );
    const compressor = new ChunkCompressor(name, new Geometry(CHUNK, 'default', name));
    const sectors = compressor.compress(text, 0, 0);
    expect(sectors).toBeGreaterThan(1);
    const whole = compressor.content.bytes.subarray(0, sectors * SECTOR_SIZE);
    fc.assert(
      fc.property(fc.nat(whole.length * 8 - 1), (bit) => {
        const content = Buffer.from(whole);
        content[bit >> 3] = (content[bit >> 3] as number) ^ (1 << (bit & 7));
        decompressed(name, content, sectors);
      }),
      { numRuns: 200 },
    );
  });
});

test('Zstandard: refuses a second frame, even an empty one or one that is skipped', () => {
  const frame = streamOf('zstd', CHUNK - SECTOR_SIZE);
  const second = streamOf('zstd', SECTOR_SIZE);
  const skipped = Buffer.from('502a4d1804000000deadbeef', 'hex');
  expect(decompressed('zstd', contentOf(Buffer.concat([frame, second])), 1)).toBeUndefined();
  expect(decompressed('zstd', contentOf(Buffer.concat([streamOf('zstd', CHUNK), skipped])), 1)).toBeUndefined();
  expect(decompressed('zstd', contentOf(Buffer.concat([skipped, streamOf('zstd', CHUNK)])), 1)).toBeUndefined();
  expect(decompressed('zstd', contentOf(skipped), 1)).toBeUndefined();
});
