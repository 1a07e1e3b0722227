import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { flattenedDecrypt } from 'jose';
import { describe, expect, test } from 'vitest';
import { Secret } from '../../../../src/crypto/secret.ts';
import { primitives } from '../../../../src/crypto/select.ts';
import { parseSlot, type SlotJwe, slotParameters } from '../../../../src/format/slot.ts';
import { unwrapFromSlot, wrapIntoSlot } from '../../../../src/keys/slots/aes-key-wrap.ts';
import { hex, vectors } from '../../crypto/vectors.ts';

const algorithms = [
  ['A128KW', 16],
  ['A192KW', 24],
  ['A256KW', 32],
] as const;

const imageId = Buffer.alloc(16, 0x1d);
const ckptfs = imageId.toString('hex');

/** RFC 3394 §2.2.3.1 */
const keyWrapIv = Buffer.alloc(8, 0xa6);

/** A JWE made with node:crypto alone, to the letter of RFC 7516. */
function handMade(
  header: object,
  options: { kek: Uint8Array; cek?: Buffer; payload?: Buffer; wrapped?: Buffer; iv?: Buffer },
): SlotJwe {
  const cek = options.cek ?? randomBytes(32);
  const iv = options.iv ?? randomBytes(12);
  const protectedHeader = Buffer.from(JSON.stringify(header)).toString('base64url');
  const content = createCipheriv(`aes-${cek.length * 8}-gcm` as 'aes-256-gcm', cek, iv);
  content.setAAD(Buffer.from(protectedHeader));
  const ciphertext = Buffer.concat([content.update(options.payload ?? Buffer.alloc(32, 5)), content.final()]);
  const wrapped =
    options.wrapped ?? createCipheriv(`id-aes${options.kek.length * 8}-wrap`, options.kek, keyWrapIv).update(cek);
  return {
    protected: protectedHeader,
    encrypted_key: wrapped.toString('base64url'),
    iv: iv.toString('base64url'),
    ciphertext: ciphertext.toString('base64url'),
    tag: content.getAuthTag().toString('base64url'),
  };
}

/** Opens a slot with OpenSSL, in locked memory, with node:crypto, and with jose. They must agree. */
async function opened(slot: SlotJwe, key: Secret): Promise<Secret | undefined> {
  const found = unwrapFromSlot(slot, imageId, key, primitives('openssl'));
  const bytes = found === undefined ? undefined : Buffer.from(found.bytes);
  const byNode = unwrapFromSlot(slot, imageId, key, primitives('node'));
  expect(byNode === undefined ? undefined : Buffer.from(byNode.bytes)).toEqual(bytes);
  expect(await openedByJose(slot, key)).toEqual(bytes);
  return found;
}

/** Does the same with jose, which reads every JWE: what a slot may be besides is checked here. */
async function openedByJose(slot: SlotJwe, key: Secret): Promise<Buffer | undefined> {
  const parameters = slotParameters(slot);
  if (parameters?.size !== 3 || parameters.get('ckptfs') !== ckptfs) return undefined;
  const { plaintext } = await flattenedDecrypt(slot, Uint8Array.from(key.bytes), {
    keyManagementAlgorithms: [`A${key.length * 8}KW`],
    contentEncryptionAlgorithms: ['A256GCM'],
  }).catch(() => ({ plaintext: new Uint8Array() }));
  return plaintext.length === 32 ? Buffer.from(plaintext) : undefined;
}

describe('AES key wrap (RFC 3394)', () => {
  describe.each(vectors<'kek' | 'key' | 'wrapped'>('aes-key-wrap'))('$source', ({ kek, key, wrapped }) => {
    test('by node:crypto, both ways', () => {
      const algorithm = `id-aes${kek.length * 4}-wrap`;
      expect(createCipheriv(algorithm, hex(kek), keyWrapIv).update(hex(key)).toString('hex')).toBe(wrapped);
      expect(createDecipheriv(algorithm, hex(kek), keyWrapIv).update(hex(wrapped)).toString('hex')).toBe(key);
    });

    test('by jose: the vector is the encrypted key of a JWE', async () => {
      const header = { alg: `A${kek.length * 4}KW`, enc: `A${key.length * 4}GCM` };
      const jwe = handMade(header, { kek: hex(kek), cek: hex(key), wrapped: hex(wrapped) });
      const { plaintext } = await flattenedDecrypt(jwe, new Uint8Array(hex(kek)));
      expect(Buffer.from(plaintext)).toEqual(Buffer.alloc(32, 5));
    });
  });
});

describe.each(algorithms)('%s', (alg, size) => {
  const header = { alg, enc: 'A256GCM', ckptfs };

  test('wraps, and unwraps with the same key only', async () => {
    const [imageKey, key] = [Secret.random(32), Secret.random(size)];
    const slot = await wrapIntoSlot(imageKey, imageId, key);
    expect(parseSlot(slot)).toEqual(slot);
    expect(Object.keys(slot)).toEqual(['protected', 'encrypted_key', 'iv', 'ciphertext', 'tag']);
    expect(JSON.parse(Buffer.from(slot.protected, 'base64url').toString())).toEqual(header);
    expect(Buffer.from((await opened(slot, key))?.bytes ?? [])).toEqual(Buffer.from(imageKey.bytes));
    expect(await opened(slot, Secret.random(size))).toBeUndefined();
    for (const [, other] of algorithms) {
      if (other !== size) expect(await opened(slot, Secret.random(other))).toBeUndefined();
    }
  });

  test('what it wraps, node:crypto opens', async () => {
    const [imageKey, key] = [Secret.random(32), Secret.random(size)];
    const slot = await wrapIntoSlot(imageKey, imageId, key);
    const part = (name: keyof SlotJwe) => Buffer.from(slot[name], 'base64url');
    const cek = createDecipheriv(`id-aes${size * 8}-wrap`, key.bytes, keyWrapIv).update(part('encrypted_key'));
    const content = createDecipheriv('aes-256-gcm', cek, part('iv'));
    content.setAAD(Buffer.from(slot.protected)).setAuthTag(part('tag'));
    const payload = Buffer.concat([content.update(part('ciphertext')), content.final()]);
    expect(payload).toEqual(Buffer.from(imageKey.bytes));
  });

  test('what node:crypto wraps, it opens', async () => {
    const key = Secret.random(size);
    const imageKey = await opened(handMade(header, { kek: key.bytes }), key);
    expect(Buffer.from(imageKey?.bytes ?? [])).toEqual(Buffer.alloc(32, 5));
  });

  test('a slot of another image does not open', async () => {
    const key = Secret.random(size);
    const slot = await wrapIntoSlot(Secret.random(32), Buffer.alloc(16, 0x1e), key);
    expect(await opened(slot, key)).toBeUndefined();
  });

  test('describes itself when told how', async () => {
    const [imageKey, key] = [Secret.random(32), Secret.random(size)];
    const description = { kind: 'key', label: 'ours', created: '2026-11-29T12:00:00Z' } as const;
    const slot = await wrapIntoSlot(imageKey, imageId, key, description);
    expect(Object.keys(slot)).toEqual(['protected', 'header', 'encrypted_key', 'iv', 'ciphertext', 'tag']);
    expect(slot.header).toEqual(description);
    expect(parseSlot(slot)).toEqual(slot);
    expect(Buffer.from((await opened(slot, key))?.bytes ?? [])).toEqual(Buffer.from(imageKey.bytes));
  });

  test('every slot is different', async () => {
    const [imageKey, key] = [Secret.random(32), Secret.random(size)];
    const [a, b] = [await wrapIntoSlot(imageKey, imageId, key), await wrapIntoSlot(imageKey, imageId, key)];
    for (const name of ['encrypted_key', 'iv', 'ciphertext', 'tag'] as const) expect(a[name]).not.toBe(b[name]);
  });

  test.each([0, 16, 31, 33, 64])('a payload of %i bytes is no image key', async (length) => {
    const key = Secret.random(size);
    const slot = handMade(header, { kek: key.bytes, payload: randomBytes(length) });
    expect(await opened(slot, key)).toBeUndefined();
  });
});

describe('a hostile slot does not open', () => {
  const key = Secret.random(32);
  const kek = key.bytes;

  test.each([
    ['direct encryption', { alg: 'dir', enc: 'A256GCM', ckptfs }],
    ['alg none', { alg: 'none', enc: 'A256GCM', ckptfs }],
    [
      'a password algorithm with a huge count',
      { alg: 'PBES2-HS256+A128KW', enc: 'A256GCM', ckptfs, p2c: 2 ** 31, p2s: 'AAAA' },
    ],
    ['another key wrap', { alg: 'A256GCMKW', enc: 'A256GCM', ckptfs, iv: 'AAAA', tag: 'AAAA' }],
    ['another size of key wrap', { alg: 'A128KW', enc: 'A256GCM', ckptfs }],
    ['compression', { alg: 'A256KW', enc: 'A256GCM', ckptfs, zip: 'DEF' }],
    ['critical parameters', { alg: 'A256KW', enc: 'A256GCM', ckptfs, crit: ['b64'], b64: false }],
    ['any other parameter', { alg: 'A256KW', enc: 'A256GCM', ckptfs, kid: 'x' }],
    ['no enc', { alg: 'A256KW', ckptfs }],
    ['an enc that is no text', { alg: 'A256KW', enc: ['A256GCM'], ckptfs }],
    ['no alg', { enc: 'A256GCM', ckptfs }],
    ['no image', { alg: 'A256KW', enc: 'A256GCM' }],
    ['another image', { alg: 'A256KW', enc: 'A256GCM', ckptfs: '1d'.repeat(15) }],
    ['an image id in capitals', { alg: 'A256KW', enc: 'A256GCM', ckptfs: ckptfs.toUpperCase() }],
    ['an image id that is no text', { alg: 'A256KW', enc: 'A256GCM', ckptfs: [ckptfs] }],
    ['an empty header', {}],
  ])('%s', async (_what, header) => {
    expect(await opened(handMade(header, { kek }), key)).toBeUndefined();
  });

  test('another content encryption', async () => {
    const slot = handMade({ alg: 'A256KW', enc: 'A128GCM', ckptfs }, { kek, cek: randomBytes(16) });
    expect(await opened(slot, key)).toBeUndefined();
  });

  test('a content key of the wrong size', async () => {
    const slot = handMade({ alg: 'A256KW', enc: 'A256GCM', ckptfs }, { kek, cek: randomBytes(16) });
    expect(await opened(slot, key)).toBeUndefined();
  });

  test('an initialisation vector of another size', async () => {
    const slot = handMade({ alg: 'A256KW', enc: 'A256GCM', ckptfs }, { kek, iv: randomBytes(16) });
    expect(await opened(slot, key)).toBeUndefined();
  });

  test('any member replaced by anything of the right form', async () => {
    const slot = await wrapIntoSlot(Secret.random(32), imageId, key);
    const text = fc
      .uint8Array({ minLength: 1, maxLength: 80 })
      .map((bytes) => Buffer.from(bytes).toString('base64url'));
    const name = fc.constantFrom('protected', 'encrypted_key', 'iv', 'ciphertext', 'tag');
    await fc.assert(
      fc.asyncProperty(name, text, async (member, value) => {
        expect(await opened({ ...slot, [member]: value }, key)).toBeUndefined();
      }),
      { numRuns: 300 },
    );
  });

  test.each([
    ['a wrapped key without room for its check', { encrypted_key: 8 }],
    ['a wrapped key of two blocks', { encrypted_key: 16 }],
    ['a wrapped key that is cut', { encrypted_key: 39 }],
    ['a wrapped key of one block more', { encrypted_key: 48 }],
    ['the longest wrapped key', { encrypted_key: 6144 }],
    ['a short initialisation vector', { iv: 1 }],
    ['a long initialisation vector', { iv: 6144 }],
    ['a tag of 96 bits', { tag: 12 }],
    ['a tag that is too long', { tag: 17 }],
    ['a ciphertext that is cut', { ciphertext: 31 }],
    ['a ciphertext that is too long', { ciphertext: 6144 }],
  ])('%s', async (_what, sizes) => {
    const slot = await wrapIntoSlot(Secret.random(32), imageId, key);
    for (const [member, size] of Object.entries(sizes)) {
      const right = Buffer.from(slot[member as keyof SlotJwe], 'base64url');
      const value = Buffer.concat([right, randomBytes(6144)])
        .subarray(0, size)
        .toString('base64url');
      expect(await opened({ ...slot, [member]: value }, key)).toBeUndefined();
    }
  });

  test('any one bit of a slot flipped', async () => {
    const slot = await wrapIntoSlot(Secret.random(32), imageId, key);
    for (const member of ['protected', 'encrypted_key', 'iv', 'ciphertext', 'tag'] as const) {
      const bytes = Buffer.from(slot[member], 'base64url');
      for (let bit = 0; bit < bytes.length * 8; bit++) {
        const other = Buffer.from(bytes);
        other[bit >> 3] = (other[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        expect(await opened({ ...slot, [member]: other.toString('base64url') }, key)).toBeUndefined();
      }
    }
    expect(await opened(slot, key)).toBeDefined();
  });
});

test('keys and slots of every kind open the same way by jose', async () => {
  const bytes = (size: number) => fc.uint8Array({ minLength: size, maxLength: size });
  const kind = fc.constantFrom(16, 24, 32);
  await fc.assert(
    fc.asyncProperty(kind, bytes(32), bytes(32), bytes(12), async (size, kek, payload, iv) => {
      const key = Secret.copy(kek.subarray(0, size));
      const header = { alg: `A${size * 8}KW`, enc: 'A256GCM', ckptfs };
      const options = { kek: key.bytes, payload: Buffer.from(payload), iv: Buffer.from(iv) };
      const found = await opened(handMade(header, options), key);
      expect(Buffer.from(found?.bytes ?? [])).toEqual(Buffer.from(payload));
    }),
    { numRuns: 100 },
  );
});

test('a wrapping key of another size is a fault of the caller', async () => {
  await expect(wrapIntoSlot(Secret.random(32), imageId, Secret.random(20))).rejects.toThrow('20 bytes');
});
