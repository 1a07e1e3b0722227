import { describe, expect, test } from 'vitest';
import { Counters } from '../../../../src/base/counters.ts';
import { Region } from '../../../../src/base/linux/native.ts';
import { createCodec } from '../../../../src/compression/create-codec.ts';
import { Secret } from '../../../../src/crypto/secret.ts';
import { randomBytes } from '../../../../src/crypto/system-random.ts';
import { type CipherName, cipherNames } from '../../../../src/format/ciphers.ts';
import { type CompressionName, compressionNames } from '../../../../src/format/compressions.ts';
import { PAGE_SIZE, SECTOR_SIZE } from '../../../../src/format/geometry.ts';
import { encodeObjectHeader } from '../../../../src/format/object-header.ts';
import { geometryOf } from '../../../../src/image/objects/image-context.ts';
import { Nonces } from '../../../../src/image/objects/nonces.ts';
import { digestTagPage, ObjectSealer } from '../../../../src/image/objects/object-sealer.ts';
import { ImageReader } from '../../../../src/image/read/image-reader.ts';
import { ObjectReader, type ObjectSource } from '../../../../src/image/read/object-reader.ts';
import { MemoryStore } from '../../../support/memory-store.ts';

const CHUNK = 16384;

/** A chunk as a writer would seal it, right or wrong. */
interface Given {
  readonly holes?: number;
  /** The sectors that it takes; 0 when it is not compressed. */
  readonly sectors: number;
  readonly content: Uint8Array;
}

/** An image of one object that holds these chunks. */
function imageOf(
  compression: CompressionName | undefined,
  chunks: readonly Given[],
  cipher: CipherName = 'aes-256-xts',
) {
  const store = new MemoryStore();
  const imageKey = Secret.random(32);
  const header = { imageId: randomBytes(16), cipher, chunkSize: CHUNK, compression };
  const geometry = geometryOf(header);
  const id = randomBytes(16);
  const nonces = new Nonces();
  nonces.begin(chunks.length);
  const sealer = new ObjectSealer({ header, imageKey, geometry }, id, nonces);
  const stored = new Region(PAGE_SIZE + chunks.length * CHUNK);
  for (const [at, { holes = 0, sectors, content }] of chunks.entries()) {
    const plain = new Region(Buffer.concat([content], CHUNK));
    sealer.seal(at, holes, sectors, plain, 0, stored, PAGE_SIZE + at * CHUNK, stored);
  }
  const digests = new Region(32);
  digestTagPage(stored, 0, digests);
  const file = Buffer.concat([encodeObjectHeader(header.cipher, CHUNK, header.imageId, id), stored.bytes]);
  store.objects.set(id.toString('hex'), file);
  const objects = [{ id, chunks: chunks.length, digests: digests.bytes }];
  const image = { store, header: { ...header, slots: [], mac: Buffer.alloc(32) }, imageKey, manifest: { objects } };
  return { image: image as unknown as ObjectSource, file, geometry };
}

/** What is stored of text that fills a chunk but for its holes. */
function compressed(name: CompressionName, text: Buffer, holes = 0): Given {
  const to = new Region(CHUNK);
  const length = createCodec(name).compress(new Region(text), 0, text.length, to, 4, CHUNK - 4);
  to.view.setUint32(0, length, true);
  return { holes, sectors: Math.ceil((4 + length) / SECTOR_SIZE), content: to.bytes };
}

function text(length: number): Buffer {
  return Buffer.from(Array.from({ length }, (_, at) => `${(at * at) % 37} `).join('')).subarray(0, length);
}

function faults(image: ObjectSource) {
  const reader = new ObjectReader(image, new Counters());
  const found = reader.faults(0, 0, new Region(reader.geometry.groupSize), Buffer.of(0xff));
  reader.close();
  return found;
}

function readAt(image: ObjectSource, start: number, end: number): Buffer {
  const reader = new ImageReader(image);
  const out = new Region(Buffer.alloc(end - start + 2, 0xee));
  try {
    reader.readObject(0, start, end, out, 1);
    expect([out.bytes[0], out.bytes.at(-1)]).toEqual([0xee, 0xee]);
    return out.bytes.subarray(1, -1);
  } finally {
    reader.close();
  }
}

describe.each(compressionNames)('%s', (name) => {
  const noise = randomBytes(CHUNK);
  const spread = Buffer.concat(
    [text(8192).subarray(0, 4096), Buffer.alloc(4096), text(8192).subarray(4096), noise],
    CHUNK,
  );
  spread.fill(0, 12288);
  const { image, file, geometry } = imageOf(name, [
    compressed(name, text(CHUNK)),
    { sectors: 0, content: noise },
    compressed(name, text(8192), 0b1010),
    { sectors: 0, content: noise },
  ]);
  const whole = Buffer.concat([text(CHUNK), noise, spread, noise]);

  test('any part is read, also across chunks that are compressed and such that are not', () => {
    const edges = [0, 1, 4095, 4096, 12288, CHUNK - 1, CHUNK, CHUNK + 1, CHUNK + 4096, 2 * CHUNK, 2 * CHUNK + 5000];
    for (const start of edges) {
      for (const end of [...edges, 3 * CHUNK - 1, 3 * CHUNK, 4 * CHUNK]) {
        if (end > start)
          expect(readAt(image, start, end).equals(whole.subarray(start, end)), `${start} ${end}`).toBe(true);
      }
    }
    expect(faults(image)).toEqual([]);
  });

  test.each(cipherNames)('it is whole under %s, and what of it is damaged is found', (cipher) => {
    const chunks = [
      compressed(name, text(CHUNK)),
      { sectors: 0, content: noise },
      compressed(name, text(8192), 0b1010),
    ];
    const { image: made, file: stored } = imageOf(name, chunks, cipher);
    expect(faults(made)).toEqual([]);
    expect(readAt(made, 0, 3 * CHUNK).equals(whole.subarray(0, 3 * CHUNK))).toBe(true);
    const at = geometry.chunkOffset(2);
    stored[at] = (stored[at] as number) ^ 1;
    expect(faults(made)).toEqual([{ chunk: 2, sectors: 0b1111, reason: 'its tag does not match' }]);
  });

  test('no more is read than is stored of the chunks that are asked for, once', () => {
    const counters = new Counters();
    const reader = new ImageReader(image, undefined, counters);
    const out = new Region(CHUNK);
    reader.readObject(0, 100, 101, out, 0);
    const before = counters.get('storedBytesRead');
    reader.readObject(0, 5, CHUNK - 5, out, 0);
    const { sectors } = compressed(name, text(CHUNK));
    expect(counters.get('storedBytesRead') - before).toBe(sectors * SECTOR_SIZE);
    expect(out.bytes.subarray(0, CHUNK - 10).equals(whole.subarray(5, CHUNK - 5))).toBe(true);
    reader.close();
  });

  test('a changed bit of any stored sector is found, and the sectors that store nothing do not matter', () => {
    const at = geometry.chunkOffset(0);
    const intact = Buffer.from(file);
    for (const place of [at, at + 4095]) {
      file[place] = (file[place] as number) ^ 1;
      expect(() => readAt(image, 100, 200)).toThrow('its tag does not match');
      expect(faults(image)).toEqual([{ chunk: 0, sectors: 0b1111, reason: 'its tag does not match' }]);
      intact.copy(file);
    }
    file.fill(0xff, at + 3 * SECTOR_SIZE, at + CHUNK);
    expect(readAt(image, 0, CHUNK).equals(text(CHUNK))).toBe(true);
    expect(faults(image)).toEqual([]);
    intact.copy(file);
  });

  test('a key holder cannot make a chunk that is read as anything but what it gives', () => {
    const right = compressed(name, text(CHUNK));
    const long = compressed(name, text(CHUNK + 1));
    const wrong: Record<string, Given> = {
      'a stream of more bytes': long,
      'a stream of fewer bytes': compressed(name, text(CHUNK - SECTOR_SIZE)),
      noise: { sectors: 1, content: noise },
      'no stream': { sectors: 1, content: Buffer.alloc(CHUNK) },
      'bytes after the stream': { ...right, content: Buffer.concat([right.content.subarray(0, -1), Buffer.of(1)]) },
    };
    wrong['bytes after the stream']?.content.fill(1, right.sectors * SECTOR_SIZE - 1);
    for (const [what, chunk] of Object.entries(wrong)) {
      const { image: made } = imageOf(name, [chunk]);
      expect(() => readAt(made, 0, CHUNK), what).toThrow('its content does not decompress');
      expect(() => readAt(made, 5, 6), what).toThrow('its content does not decompress');
      expect(faults(made), what).toEqual([{ chunk: 0, sectors: 0b1111, reason: 'its content does not decompress' }]);
    }
  });

  test('as many sectors as the chunk has, or more, are refused, and any in an image without compression', () => {
    const right = compressed(name, text(CHUNK));
    for (const sectors of [4, 5, 16, 0xffff]) {
      const { image: made } = imageOf(name, [{ ...right, sectors }]);
      expect(() => readAt(made, 0, CHUNK), `${sectors}`).toThrow('its tag does not match');
      expect(faults(made), `${sectors}`).toMatchObject([{ chunk: 0, reason: 'its tag does not match' }]);
    }
    const { image: plain } = imageOf(undefined, [right]);
    expect(() => readAt(plain, 0, CHUNK)).toThrow('its tag does not match');
    expect(faults(plain)).toMatchObject([{ chunk: 0, reason: 'its tag does not match' }]);
  });
});
