import { expect, test } from 'vitest';
import { imageId, imageKey, slot } from '../../../../scripts/vectors/sample.ts';
import { CkptfsError } from '../../../../src/base/errors.ts';
import { headerMac } from '../../../../src/crypto/header-mac.ts';
import { deriveHeaderMacKey } from '../../../../src/crypto/image-keys.ts';
import { Secret } from '../../../../src/crypto/secret.ts';
import { primitives } from '../../../../src/crypto/select.ts';
import { authenticatedHeaderBytes, encodeHeader } from '../../../../src/format/header.ts';
import { authenticateHeader, readAnyHeader, readHeader } from '../../../../src/image/read/image.ts';
import { MemoryStore } from '../../../support/memory-store.ts';

type Name = Parameters<MemoryStore['has']>[0];

const key = Secret.copy(imageKey);
const fields = { imageId, cipher: 'none', chunkSize: 4096, slots: [slot()] } as const;
const mac = headerMac(primitives(), deriveHeaderMacKey(primitives(), key, imageId), authenticatedHeaderBytes(fields));

/** A good header, and these files besides. */
function storeWith(...names: readonly Name[]): MemoryStore {
  const store = new MemoryStore();
  for (const name of names) store.named.set(name, Buffer.alloc(1));
  if (names.includes('ckptfs.json')) store.named.set('ckptfs.json', encodeHeader({ ...fields, mac }));
  return store;
}

function codeOf(read: () => unknown): string {
  try {
    read();
    return 'ok';
  } catch (error) {
    if (error instanceof CkptfsError) return error.code;
    throw error;
  }
}

test.each<readonly [string, string, readonly Name[]]>([
  ['ok', 'ok', ['ckptfs.json', 'manifest']],
  ['unfinished', 'ok', ['ckptfs.json']],
  ['unsealed', 'ok', ['ckptfs.json', 'journal']],
  ['unsealed', 'ok', ['ckptfs.json', 'manifest', 'journal']],
  ['not-an-image', 'not-an-image', []],
  ['damaged', 'damaged', ['manifest']],
  ['damaged', 'damaged', ['journal']],
])('for reading %s, for writing %s: %j', (reading, writing, names) => {
  const store = storeWith(...names);
  expect(codeOf(() => readHeader(store))).toBe(reading);
  expect(codeOf(() => readAnyHeader(store))).toBe(writing);
});

test('an image that was begun and has no header yet is unfinished for both', () => {
  const store = storeWith();
  store.objects.set('0'.repeat(32), Buffer.alloc(0));
  expect(codeOf(() => readHeader(store))).toBe('unfinished');
  expect(codeOf(() => readAnyHeader(store))).toBe('unfinished');
});

test('an unsealed image is refused as being written or interrupted', () => {
  expect(() => readHeader(storeWith('ckptfs.json', 'journal'))).toThrow(
    expect.objectContaining({ code: 'unsealed', data: { reason: 'written-or-interrupted' } }),
  );
});

test('a header is authentic only under its own key', () => {
  const store = storeWith('ckptfs.json', 'journal');
  const header = readAnyHeader(store);
  expect(codeOf(() => authenticateHeader(store, header, key))).toBe('ok');
  expect(codeOf(() => authenticateHeader(store, header, Secret.random(32)))).toBe('damaged');
  expect(codeOf(() => authenticateHeader(store, { ...header, chunkSize: 8192 }, key))).toBe('damaged');
});
