import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { allVectors, vectorText } from '../../scripts/vectors/all.ts';
import { type Refused, stages, type Vector } from '../../scripts/vectors/vector.ts';
import {
  deriveHeaderMacKey,
  deriveJournalKey,
  deriveManifestKey,
  deriveObjectDataKey,
  deriveObjectMacKey,
} from '../../src/crypto/image-keys.ts';
import type { Primitives } from '../../src/crypto/primitives.ts';
import { primitives } from '../../src/crypto/select.ts';
import {
  expectedResult,
  type Outcome,
  runChunk,
  runHeader,
  runJournalEntries,
  runJournalFrame,
  runManifest,
  runManifestPlaintext,
  runObject,
  runSignatures,
  runSlot,
  secret,
} from './vector-runs.ts';

const root = path.join(import.meta.dirname, '..', 'vectors');
const kinds = Object.keys(allVectors) as Vector['kind'][];
/** Made from other people's publications and programs, and held to by the tests of src/crypto and src/keys/kmip. */
const publishedKinds = ['crypto', 'kmip'];
const implementations = ['openssl', 'node'] as const;

function vectorsOf<K extends Vector['kind']>(kind: K): (readonly [string, Extract<Vector, { kind: K }>])[] {
  const folder = path.join(root, kind);
  return fs.readdirSync(folder).map((file) => {
    expect(file).toMatch(/\.json$/);
    return [file, JSON.parse(fs.readFileSync(path.join(folder, file), 'utf8'))] as const;
  });
}

function expectOutcome(vector: Vector, { stage, result }: Outcome): void {
  expect(stage).toBe(vector.stage);
  if (vector.stage === 'ok') {
    expect(result).toEqual(expectedResult(vector.expected));
    return;
  }
  const { code, message } = vector.expected as Refused;
  expect(result).toMatchObject({ code, message: expect.stringContaining(message) });
}

describe('the folder', () => {
  test('has a folder for each kind and nothing else', () => {
    expect(fs.readdirSync(root).sort()).toEqual([...kinds, ...publishedKinds].sort());
  });

  test.each(kinds)('%s: the files are those the script makes', (kind) => {
    const made = Object.entries(allVectors[kind]).map(([name, vector]) => [`${name}.json`, vectorText(vector)]);
    const found = fs
      .readdirSync(path.join(root, kind))
      .map((file) => [file, fs.readFileSync(path.join(root, kind, file), 'utf8')]);
    expect(Object.fromEntries(found)).toEqual(Object.fromEntries(made));
  });

  test('every stage is reached, and there are at least 60 ways to fail', () => {
    const all = kinds.flatMap((kind) => vectorsOf(kind).map(([, vector]) => vector as Vector));
    expect(new Set(all.map(({ stage }) => stage))).toEqual(new Set(stages));
    expect(all.filter(({ stage }) => stage !== 'ok').length).toBeGreaterThan(60);
  });
});

describe.each(implementations)('keys with %s', (name) => {
  test.each(vectorsOf('keys'))('%s', (_, vector) => {
    const p = primitives(name);
    const ids = [vector.imageId, vector.objectId, vector.journalId].map((id) => Buffer.from(id, 'hex'));
    expect(derivedKeys(p, secret(vector.imageKey), ...(ids as [Buffer, Buffer, Buffer]))).toEqual(vector.expected);
  });
});

function derivedKeys(
  p: Primitives,
  key: ReturnType<typeof secret>,
  imageId: Buffer,
  objectId: Buffer,
  journalId: Buffer,
) {
  const derived = {
    'header mac': deriveHeaderMacKey(p, key, imageId),
    manifest: deriveManifestKey(p, key, imageId),
    journal: deriveJournalKey(p, key, imageId, journalId),
    'data aes-256-xts': deriveObjectDataKey(p, 'aes-256-xts', key, imageId, objectId),
    'data aes-128-xts': deriveObjectDataKey(p, 'aes-128-xts', key, imageId, objectId),
    'data chacha20-poly1305': deriveObjectDataKey(p, 'chacha20-poly1305', key, imageId, objectId),
    'data aes-256-gcm': deriveObjectDataKey(p, 'aes-256-gcm', key, imageId, objectId),
    'mac aes-256-xts': deriveObjectMacKey(p, 'aes-256-xts', key, imageId, objectId),
    'mac aes-128-xts': deriveObjectMacKey(p, 'aes-128-xts', key, imageId, objectId),
    'mac none': deriveObjectMacKey(p, 'none', key, imageId, objectId),
  };
  return Object.fromEntries(
    Object.entries(derived).map(([label, { bytes }]) => [label, Buffer.from(bytes).toString('hex')]),
  );
}

describe('slot', () => {
  test.each(vectorsOf('slot'))('%s', async (_, vector) => expectOutcome(vector, await runSlot(vector)));
});

describe('header', () => {
  test.each(vectorsOf('header'))('%s', async (_, vector) => expectOutcome(vector, await runHeader(vector)));
});

describe('signatures', () => {
  test.each(vectorsOf('signatures'))('%s', async (_, vector) => expectOutcome(vector, await runSignatures(vector)));
});

describe('manifest-plaintext', () => {
  test.each(vectorsOf('manifest-plaintext'))('%s', async (_, vector) =>
    expectOutcome(vector, await runManifestPlaintext(vector)),
  );
});

describe('manifest', () => {
  test.each(vectorsOf('manifest'))('%s', async (_, vector) => expectOutcome(vector, await runManifest(vector)));
});

describe('journal-entries', () => {
  test.each(vectorsOf('journal-entries'))('%s', async (_, vector) =>
    expectOutcome(vector, await runJournalEntries(vector)),
  );
});

describe.each(implementations)('journal-frame with %s', (name) => {
  test.each(vectorsOf('journal-frame'))('%s', async (_, vector) =>
    expectOutcome(vector, await runJournalFrame(vector, name)),
  );
});

describe('object', () => {
  test.each(vectorsOf('object'))('%s', async (_, vector) => expectOutcome(vector, await runObject(vector)));
});

describe.each(implementations)('chunk with %s', (name) => {
  test.each(vectorsOf('chunk'))('%s', async (_, vector) => expectOutcome(vector, await runChunk(vector, name)));
});
