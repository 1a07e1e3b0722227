import { CHUNK_SIZE } from '../../scripts/vectors/sample.ts';
import type { HeaderVector, Packed, SlotVector, Stage, Vector } from '../../scripts/vectors/vector.ts';
import { unpack } from '../../scripts/vectors/vector.ts';
import { MalformedError } from '../../src/base/bytes.ts';
import { Counters } from '../../src/base/counters.ts';
import { CkptfsError } from '../../src/base/errors.ts';
import { Region } from '../../src/base/linux/native.ts';
import { ChunkDecompressor } from '../../src/compression/chunk-decompressor.ts';
import { createChunkCipher } from '../../src/crypto/chunk-ciphers.ts';
import { headerMac, verifyHeaderMac } from '../../src/crypto/header-mac.ts';
import { deriveHeaderMacKey } from '../../src/crypto/image-keys.ts';
import { JournalCipher } from '../../src/crypto/journal-cipher.ts';
import { readPublicJwk } from '../../src/crypto/public-key.ts';
import { Secret } from '../../src/crypto/secret.ts';
import { primitives } from '../../src/crypto/select.ts';
import { Geometry } from '../../src/format/geometry.ts';
import { authenticatedHeaderBytes, encodeHeader, parseHeader } from '../../src/format/header.ts';
import { decodeEntries, encodeEntries } from '../../src/format/journal-codec.ts';
import { decodeManifest, encodeManifest } from '../../src/format/manifest-codec.ts';
import { readCompressedSectors, readHoles } from '../../src/format/record.ts';
import { parseSlot } from '../../src/format/slot.ts';
import { openImage } from '../../src/image/read/image.ts';
import { ImageReader } from '../../src/image/read/image-reader.ts';
import { ObjectReader } from '../../src/image/read/object-reader.ts';
import { checkSignatures } from '../../src/image/signatures/check.ts';
import { Coverage } from '../../src/image/verify/coverage.ts';
import { unwrapImageKey } from '../../src/keys/provider.ts';
import { symmetricKeyProvider } from '../../src/keys/symmetric-key.ts';
import { MemoryStore } from '../support/memory-store.ts';
import { trustIn } from '../support/signers.ts';
import { NO_TIMES } from '../support/times.ts';

/** What src makes of a vector: how far reading came, and what it gave or said. */
export interface Outcome {
  readonly stage: Stage;
  readonly result: unknown;
}

type Of<K extends Vector['kind']> = Extract<Vector, { readonly kind: K }>;

/** Runs steps in order and tells the stage of the one that fails. */
class Steps {
  #stage: Stage = 'header';

  async run(body: (at: (stage: Stage) => void) => unknown): Promise<Outcome> {
    try {
      const result = await body((stage) => {
        this.#stage = stage;
      });
      return { stage: 'ok', result };
    } catch (error) {
      if (error instanceof MalformedError)
        return { stage: this.#stage, result: { code: 'damaged', message: error.message } };
      if (!(error instanceof CkptfsError)) throw error;
      return { stage: this.#stage, result: { code: error.code, message: error.message } };
    }
  }
}

export function runSlot(vector: SlotVector): Promise<Outcome> {
  return new Steps().run(async (at) => {
    const slot = parseSlot(JSON.parse(unpack(vector.input).toString()));
    at('slot');
    const provider = symmetricKeyProvider(secret(vector.wrappingKey), 'key of the vector');
    const { imageKey } = await unwrapImageKey([slot], Buffer.from(vector.imageId, 'hex'), [provider]);
    return { imageKey: hex(imageKey.bytes) };
  });
}

export function runHeader(vector: HeaderVector): Promise<Outcome> {
  return new Steps().run(async (at) => {
    const bytes = unpack(vector.input);
    const header = parseHeader(bytes);
    if (!encodeHeader(header).equals(bytes)) throw new Error('what parses does not encode to itself');
    at('slot');
    const imageKey = (
      await unwrapImageKey(header.slots, header.imageId, [symmetricKeyProvider(secret(vector.wrappingKey))])
    ).imageKey;
    at('mac');
    const macKey = deriveHeaderMacKey(primitives(), imageKey, header.imageId);
    if (!verifyHeaderMac(primitives(), macKey, authenticatedHeaderBytes(header), header.mac)) {
      throw new CkptfsError('damaged', 'header fails authentication');
    }
    const { imageId, suite, cipher, chunkSize, compression, slots } = header;
    const some = { ...(suite && { suite }), ...(compression && { compression }) };
    return { imageKey: hex(imageKey.bytes), imageId: hex(imageId), ...some, cipher, chunkSize, slots: slots.length };
  });
}

export function runManifestPlaintext(vector: Of<'manifest-plaintext'>): Promise<Outcome> {
  return new Steps().run((at) => {
    at('manifest');
    const bytes = unpack(vector.input);
    const manifest = decodeManifest(bytes, vector.chunkSize);
    if (!encodeManifest(manifest, vector.chunkSize).equals(bytes)) throw new Error('does not encode to itself');
    return withHexBytes(manifest);
  });
}

export function runSignatures(vector: Of<'signatures'>): Promise<Outcome> {
  return new Steps().run(async (at) => {
    at('signatures');
    const store = new MemoryStore();
    store.named.set('manifest', unpack(vector.manifest));
    store.named.set('signatures', unpack(vector.input));
    const publicJwk = readPublicJwk(vector.signer);
    if (publicJwk === undefined) throw new Error('the signer has no public key');
    const { imageId, cipher, chunkSize } = vector;
    const header = { imageId: Buffer.from(imageId, 'hex'), cipher, chunkSize, slots: [], mac: Buffer.alloc(32) };
    const { epoch, algorithm, signer } = await checkSignatures(store, header, trustIn({ publicJwk }));
    return { epoch, algorithm, signer };
  });
}

export function runManifest(vector: Of<'manifest'>): Promise<Outcome> {
  return new Steps().run((at) => {
    at('manifest');
    const store = new MemoryStore();
    store.named.set('manifest', unpack(vector.input));
    const { manifest } = openImage(store, sealedHeader(vector), secret(vector.imageKey));
    return { epoch: manifest.epoch, inodes: manifest.inodes.length };
  });
}

export function runJournalEntries(vector: Of<'journal-entries'>): Promise<Outcome> {
  return new Steps().run((at) => {
    at('journal');
    const bytes = unpack(vector.input);
    const geometry = new Geometry(CHUNK_SIZE);
    const entries = decodeEntries(bytes, geometry);
    if (!encodeEntries(entries, geometry).equals(bytes)) throw new Error('does not encode to itself');
    return { entries: withHexBytes(entries) };
  });
}

export function runJournalFrame(vector: Of<'journal-frame'>, name: 'openssl' | 'node'): Promise<Outcome> {
  return new Steps().run((at) => {
    at('journal');
    const [imageId, header] = [vector.imageId, vector.header].map((text) => Buffer.from(text, 'hex')) as [
      Buffer,
      Buffer,
    ];
    const cipher = new JournalCipher(primitives(name), secret(vector.imageKey), imageId, header, vector.suite);
    const data = cipher.open(vector.number, unpack(vector.input));
    if (data === undefined) throw new CkptfsError('damaged', 'frame fails authentication');
    return { data };
  });
}

/** Reads an object as the one file of an image, and group by group as `verify` does; both must agree. */
export function runObject(vector: Of<'object'>): Promise<Outcome> {
  return new Steps().run((at) => {
    const store = new MemoryStore();
    store.objects.set(vector.objectId, unpack(vector.input));
    const size = vector.chunks * vector.chunkSize;
    const root = {
      type: 'directory',
      mode: 0,
      uid: 0,
      gid: 0,
      ...NO_TIMES,
      xattrs: [],
    } as const;
    const extents = [{ fileOffset: 0, object: 0, objectOffset: 0, length: size }];
    const file = { ...root, type: 'file', size, extents } as const;
    const digests = Buffer.from(vector.digests.join(''), 'hex');
    const object = { id: Buffer.from(vector.objectId, 'hex'), chunks: vector.chunks, digests };
    const manifest = { epoch: 1, objects: [object], inodes: [root, file], entries: [] };
    const header = sealedHeader(vector);
    const image = { store, header, manifest, imageKey: secret(vector.imageKey), manifestSize: 0 };
    const objects = new ObjectReader(image, new Counters());
    at('object');
    objects.checkObject(0);
    at('tag page');
    const room = new Region(objects.geometry.groupSize);
    const groups = Array.from({ length: objects.geometry.groupsFor(vector.chunks) }, (_, group) => group);
    const coverage = new Coverage(manifest, objects.geometry);
    const faults = groups.flatMap((group) => objects.faults(0, group, room, coverage.ofGroup(0, group)));
    const out = new Region(size);
    if (!faults.some(({ reason }) => reason.includes('tag page'))) at('chunk');
    new ImageReader(image).read(file, 0, size, out, 0);
    if (faults.length > 0) throw new Error('verify sees what reading does not');
    return { data: out.bytes };
  });
}

/** Opens and reads a chunk; one that opens must also be what sealing its plaintext under its nonce gives. */
export function runChunk(vector: Of<'chunk'>, name: 'openssl' | 'node'): Promise<Outcome> {
  return new Steps().run((at) => {
    at('chunk');
    const geometry = new Geometry(vector.chunkSize, vector.suite, vector.compression);
    const ids = [vector.imageId, vector.objectId].map((id) => Buffer.from(id, 'hex')) as [Buffer, Buffer];
    const cipher = createChunkCipher(primitives(name), vector.cipher, secret(vector.imageKey), ...ids, geometry);
    const record = new Region(Buffer.from(vector.record, 'hex'));
    const chunk = new Region(unpack(vector.input));
    const data = new Region(vector.chunkSize);
    const isOpened = cipher.open(vector.index, 0, geometry.sectorsPerChunk, chunk, 0, record, 0, data, 0);
    const isVerified = cipher.verify(vector.index, new Region(unpack(vector.input)), 0, record, 0) === 0;
    if (isVerified !== isOpened) throw new Error('verifying says another thing than opening');
    if (!isOpened) throw new CkptfsError('damaged', 'its tag does not match');
    const again = { stored: new Region(vector.chunkSize), record: new Region(geometry.recordSize) };
    record.bytes.copy(again.record.bytes, 0, 0, 12);
    const [holes, sectors] = [readHoles(record.view, 0), readCompressedSectors(record.view, 0)];
    cipher.seal(vector.index, holes, sectors, data, 0, again.stored, 0, again.record, 0);
    if (!again.record.bytes.equals(record.bytes) || !again.stored.bytes.equals(unpack(vector.input))) {
      throw new Error('sealing gives other bytes');
    }
    if (sectors === 0) return { data: data.bytes };
    const decompressor = new ChunkDecompressor(geometry);
    data.bytes.copy(decompressor.content.bytes);
    const whole = new Region(vector.chunkSize);
    if (!decompressor.decompress(sectors, holes, whole, 0)) {
      throw new CkptfsError('damaged', 'its content does not decompress');
    }
    return { data: whole.bytes };
  });
}

function sealedHeader({ suite, cipher, chunkSize, imageKey, imageId }: Of<'manifest'> | Of<'object'>) {
  const fields = { imageId: Buffer.from(imageId, 'hex'), suite, cipher, chunkSize, slots: [] };
  const macKey = deriveHeaderMacKey(primitives(), secret(imageKey), fields.imageId);
  return { ...fields, mac: headerMac(primitives(), macKey, authenticatedHeaderBytes(fields)) };
}

export function secret(text: string): Secret {
  return Secret.copy(Buffer.from(text, 'hex'));
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

function withHexBytes(value: unknown): unknown {
  if (value instanceof Uint8Array) return hex(value);
  if (Array.isArray(value)) return value.map(withHexBytes);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, withHexBytes(member)]));
}

/** `expected.data` of a vector as bytes, anything else as it is. */
export function expectedResult(expected: unknown): unknown {
  if (typeof expected !== 'object' || expected === null || !('data' in expected)) return expected;
  return { data: unpack(expected.data as Packed) };
}
