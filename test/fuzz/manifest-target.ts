import { allVectors } from '../../scripts/vectors/all.ts';
import { acceptedPlaintexts } from '../../scripts/vectors/manifest-accepted.ts';
import { type ManifestVector, unpack, type Vector } from '../../scripts/vectors/vector.ts';
import { MalformedError } from '../../src/base/bytes.ts';
import { deriveManifestKey } from '../../src/crypto/image-keys.ts';
import { openManifest } from '../../src/crypto/manifest-aead.ts';
import { Secret } from '../../src/crypto/secret.ts';
import { primitives } from '../../src/crypto/select.ts';
import { decodeManifest, encodeManifest } from '../../src/format/manifest-codec.ts';
import {
  encodeManifestEnvelope,
  manifestAdditionalData,
  parseManifestEnvelope,
} from '../../src/format/manifest-envelope.ts';
import { ImageTree } from '../../src/image/read/tree.ts';
import { mutate, mutateInPlace } from './mutate.ts';
import type { Random } from './random.ts';
import { type FuzzTarget, must } from './target.ts';

const CHUNK_SIZE = 16384;

function inputsOf(vectors: Readonly<Record<string, Vector>>): Buffer[] {
  return Object.values(vectors).flatMap((vector) => ('input' in vector ? [unpack(vector.input)] : []));
}

/**
 * The manifest's plaintext, which only a holder of the key can make: plaintext that decodes must encode to itself and
 * make a tree.
 */
export const manifestTarget: FuzzTarget = {
  name: 'manifest',
  prepare: () => {
    const seeds = inputsOf(allVectors['manifest-plaintext']).filter(({ length }) => length <= 8192);
    const good = inputsOf(acceptedPlaintexts).filter(({ length }) => length <= 8192);
    return {
      attempt: (random) => {
        const seed = random.pick(random.chance(3) ? seeds : good);
        const input = random.chance(8) ? mutate(seed, random) : mutateUsed(seed, random);
        return { input, check: () => checkManifest(input) };
      },
    };
  },
};

/** Changes nothing of the padding or the length, which would be all that is found. */
function mutateUsed(plain: Buffer, random: Random): Buffer {
  const used = plain.findLastIndex((byte) => byte !== 0) + 1;
  return Buffer.concat([mutateInPlace(plain.subarray(0, used), random), plain.subarray(used)]);
}

function checkManifest(input: Buffer): string {
  try {
    const manifest = decodeManifest(input, CHUNK_SIZE);
    must(encodeManifest(manifest, CHUNK_SIZE).equals(input), 'decodes, and encodes to other bytes');
    const tree = new ImageTree(manifest);
    for (const { inode } of manifest.entries)
      must(tree.resolve(tree.pathOf(inode)) === inode, 'a path that leads elsewhere');
    return 'ok';
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
    return 'refused';
  }
}

/** The file `manifest`: its envelope, and its seal, which no change survives. */
export const envelopeTarget: FuzzTarget = {
  name: 'envelope',
  prepare: () => {
    const seeds = (Object.values(allVectors.manifest) as ManifestVector[])
      .filter(({ stage }) => stage === 'ok')
      .map(sealed);
    return {
      attempt: (random) => {
        const seed = random.pick(seeds);
        const input = random.chance(3) ? mutate(seed.bytes, random) : mutateInPlace(seed.bytes, random);
        return { input, check: () => checkEnvelope(input, seed) };
      },
    };
  },
};

interface Sealed {
  readonly bytes: Buffer;
  readonly key: Secret;
  readonly additional: Buffer;
  readonly suite: ManifestVector['suite'];
}

function sealed({ suite, imageKey, imageId, cipher, chunkSize, input }: ManifestVector): Sealed {
  const id = Buffer.from(imageId, 'hex');
  const key = deriveManifestKey(primitives(), Secret.copy(Buffer.from(imageKey, 'hex')), id);
  return { bytes: unpack(input), key, additional: manifestAdditionalData(id, cipher, chunkSize), suite };
}

function checkEnvelope(input: Buffer, { bytes, key, additional, suite }: Sealed): string {
  try {
    const envelope = parseManifestEnvelope(input);
    must(encodeManifestEnvelope(envelope).equals(input), 'parses, and encodes to other bytes');
    const sealed = Uint8Array.from(envelope.sealed);
    const opens = openManifest(key, envelope.nonce, additional, sealed, suite) !== undefined;
    must(opens === input.equals(bytes), opens ? 'a forgery opens' : 'the original does not open');
    return opens ? 'opens' : 'not authentic';
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
    return 'refused';
  }
}
