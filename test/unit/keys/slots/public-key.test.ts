// Goal: slots for public keys are those of RFC 7516 to RFC 7518, both ways with jose, node:crypto, the openssl command
// and the jose command of Debian; hostile ones do not open.
import { execFileSync } from 'node:child_process';
import {
  constants,
  createCipheriv,
  createHash,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  type KeyObject,
  publicEncrypt,
  randomBytes,
} from 'node:crypto';
import { writeFileSync } from 'node:fs';
import fc from 'fast-check';
import { type CryptoKey, FlattenedEncrypt, flattenedDecrypt } from 'jose';
import { afterAll, describe, expect, test } from 'vitest';
import { concatKdf } from '../../../../src/crypto/concat-kdf.ts';
import type { PrivateKey } from '../../../../src/crypto/private-key.ts';
import { readPrivateKey } from '../../../../src/crypto/private-key-file.ts';
import { type NistCurve, type PublicJwk, publicJwkOf, thumbprint } from '../../../../src/crypto/public-key.ts';
import { Secret } from '../../../../src/crypto/secret.ts';
import { primitives } from '../../../../src/crypto/select.ts';
import { parseSlot, type Slot, type SlotJwe } from '../../../../src/format/slot.ts';
import { unwrapFromSlot, wrapIntoSlot } from '../../../../src/keys/slots/aes-key-wrap.ts';
import {
  type RecipientJwk,
  recipientOf,
  unwrapWithPrivateKey,
  wrapForPublicKey,
} from '../../../../src/keys/slots/public-key.ts';
import { KeyDirectory } from '../../crypto/made-keys.ts';

const imageId = Buffer.alloc(16, 0x1d);
const ckptfs = imageId.toString('hex');
const imageKey = Secret.random(32);

/** A key pair of Node, and the same private key as we hold it. */
interface Pair {
  readonly name: string;
  readonly alg: string;
  readonly privateKey: KeyObject;
  readonly key: PrivateKey;
  readonly jwk: RecipientJwk;
  readonly kid: string;
}

function pair(name: string, made: { privateKey: KeyObject; publicKey: KeyObject }): Pair {
  const key = readPrivateKey(Buffer.from(made.privateKey.export({ format: 'pem', type: 'pkcs8' })));
  const jwk = publicJwkOf(made.publicKey) as RecipientJwk;
  const alg = jwk.kty === 'RSA' ? 'RSA-OAEP-256' : 'ECDH-ES+A256KW';
  return { name, alg, privateKey: made.privateKey, key, jwk, kid: thumbprint(jwk) };
}

const rsa = pair('RSA', generateKeyPairSync('rsa', { modulusLength: 2048 }));
const nist = ['P-256', 'P-384', 'P-521'].map((curve) =>
  pair(curve, generateKeyPairSync('ec', { namedCurve: curve })),
) as [Pair, Pair, Pair];
const x25519 = pair('X25519', generateKeyPairSync('x25519'));
const pairs = [rsa, ...nist, x25519];
const [p256] = nist;

function opened(slot: SlotJwe, { key }: Pair): Buffer | undefined {
  const found = unwrapWithPrivateKey([slot], imageId, key, 'the key', primitives('openssl'));
  return found && Buffer.from(found.imageKey.bytes);
}

/** Returns undefined for a slot that says that it is for the key, and is not. */
function openedOrDamaged(slot: SlotJwe, key: Pair): Buffer | undefined {
  try {
    return opened(slot, key);
  } catch (error) {
    expect(error).toMatchObject({ code: 'damaged' });
    return undefined;
  }
}

function right(): Buffer {
  return Buffer.from(imageKey.bytes);
}

interface Changes {
  readonly header?: Readonly<Record<string, unknown>>;
  readonly cek?: Buffer;
  readonly payload?: Buffer;
  readonly wrapped?: Buffer;
}

/** Makes a JWE with node:crypto alone, to the letter of RFC 7516 and RFC 7518. */
function handMade(
  { jwk, alg, kid }: Pair,
  { header: changed = {}, cek = randomBytes(32), payload, wrapped }: Changes = {},
): SlotJwe {
  const { encryptedKey, epk } = wrappedByNode(jwk, cek);
  const header = { alg, enc: 'A256GCM', ckptfs, kid, ...(epk && { epk }), ...changed };
  const kept = Object.fromEntries(Object.entries(header).filter(([, value]) => value !== undefined));
  const prot = Buffer.from(JSON.stringify(kept)).toString('base64url');
  const iv = randomBytes(12);
  const content = createCipheriv(`aes-${cek.length * 8}-gcm` as 'aes-256-gcm', cek, iv).setAAD(Buffer.from(prot));
  const ciphertext = Buffer.concat([content.update(payload ?? right()), content.final()]);
  return {
    protected: prot,
    encrypted_key: (wrapped ?? encryptedKey).toString('base64url'),
    iv: iv.toString('base64url'),
    ciphertext: ciphertext.toString('base64url'),
    tag: content.getAuthTag().toString('base64url'),
  };
}

function wrappedByNode(jwk: RecipientJwk, cek: Buffer): { encryptedKey: Buffer; epk?: PublicJwk } {
  const key = createPublicKey({ key: { ...jwk }, format: 'jwk' });
  if (jwk.kty === 'RSA') {
    const options = { key, oaepHash: 'sha256', padding: constants.RSA_PKCS1_OAEP_PADDING };
    return { encryptedKey: publicEncrypt(options, cek) };
  }
  const own = jwk.kty === 'OKP' ? generateKeyPairSync('x25519') : generateKeyPairSync('ec', { namedCurve: jwk.crv });
  const z = diffieHellman({ privateKey: own.privateKey, publicKey: key });
  const kek = createHash('sha256')
    .update(Buffer.from('00000001', 'hex'))
    .update(z)
    .update(Buffer.from('0000000e', 'hex'))
    .update('ECDH-ES+A256KW')
    .update(Buffer.from('000000000000000000000100', 'hex'))
    .digest();
  const wrap = createCipheriv('id-aes256-wrap', kek, Buffer.alloc(8, 0xa6));
  return { encryptedKey: wrap.update(cek), epk: publicJwkOf(own.publicKey) };
}

test('the derivation of RFC 7518 appendix C has another length of key: that of node:crypto is the twin', () => {
  for (const size of [32, 48, 66]) {
    const agreed = Secret.random(size);
    const other = Buffer.concat([Buffer.from('0000000e', 'hex'), Buffer.from('ECDH-ES+A256KW'), Buffer.alloc(8)]);
    const input = [Buffer.from('00000001', 'hex'), agreed.bytes, other, Buffer.from('00000100', 'hex')];
    const expected = createHash('sha256').update(Buffer.concat(input)).digest();
    for (const name of ['openssl', 'node'] as const) {
      expect(Buffer.from(concatKdf(primitives(name), agreed, 'ECDH-ES+A256KW').bytes)).toEqual(expected);
    }
  }
});

describe.each(pairs)('$name', (own) => {
  test('wraps, and unwraps with its private key only', async () => {
    const slot = await wrapForPublicKey(imageKey, imageId, own.jwk, { kind: 'public-key' });
    expect(parseSlot(JSON.parse(JSON.stringify(slot)))).toEqual(slot);
    expect(slot.header).toEqual({ kind: 'public-key' });
    const header = JSON.parse(Buffer.from(slot.protected, 'base64url').toString());
    const { epk, ...rest } = header;
    expect(rest).toEqual({ alg: own.alg, enc: 'A256GCM', ckptfs, kid: own.kid });
    expect(epk === undefined).toBe(own.jwk.kty === 'RSA');
    expect(recipientOf(slot, imageId)).toBe(own.kid);
    expect(opened(slot, own)).toEqual(right());
    for (const other of pairs) if (other !== own) expect(opened(slot, other)).toBeUndefined();
  });

  test('every slot is different', async () => {
    const slots = [
      await wrapForPublicKey(imageKey, imageId, own.jwk),
      await wrapForPublicKey(imageKey, imageId, own.jwk),
    ];
    for (const name of ['encrypted_key', 'iv', 'ciphertext', 'tag'] as const) {
      expect(slots[0]?.[name]).not.toBe(slots[1]?.[name]);
    }
    const points = slots.map(({ protected: prot }) => JSON.parse(Buffer.from(prot, 'base64url').toString()).epk?.x);
    if (own.jwk.kty !== 'RSA') expect(points[0]).not.toBe(points[1]);
  });

  test('jose opens ours, and we open those of jose and of node:crypto', async () => {
    const slot = await wrapForPublicKey(imageKey, imageId, own.jwk);
    const { header: _people, ...jwe } = slot;
    const { plaintext } = await flattenedDecrypt(jwe, own.privateKey);
    expect(Buffer.from(plaintext)).toEqual(right());
    const made = await new FlattenedEncrypt(right())
      .setProtectedHeader({ alg: own.alg, enc: 'A256GCM', kid: own.kid, ckptfs })
      .encrypt({ ...own.jwk });
    expect(opened(parseSlot(made), own)).toEqual(right());
    expect(opened(handMade(own), own)).toEqual(right());
  });

  test('a slot of another image is passed over', async () => {
    const slot = await wrapForPublicKey(imageKey, Buffer.alloc(16, 2), own.jwk);
    expect(recipientOf(slot, imageId)).toBeUndefined();
    expect(opened(slot, own)).toBeUndefined();
  });

  test.each([
    ['compression', { zip: 'DEF' }],
    ['critical parameters', { crit: ['b64'], b64: false }],
    ['information on a party', { apu: 'QWxpY2U' }],
    ['no kid', { kid: undefined }],
    ['a kid that is no text', { kid: [rsa.kid] }],
    ['another content encryption', { enc: 'A256CBC-HS512' }],
    ['an enc that is no text', { enc: ['A256GCM'] }],
    ['key wrap alone', { alg: 'A256KW' }],
    ['direct agreement', { alg: 'ECDH-ES' }],
    ['an agreement for a shorter key', { alg: 'ECDH-ES+A128KW' }],
    ['RSA-OAEP with SHA-1', { alg: 'RSA-OAEP' }],
    ['RSA of PKCS #1', { alg: 'RSA1_5' }],
    ['no alg', { alg: undefined }],
    ['alg none', { alg: 'none' }],
    ['direct encryption', { alg: 'dir' }],
    ['no image', { ckptfs: undefined }],
  ])('a slot with %s is passed over', (_what, header) => {
    expect(opened(handMade(own, { header }), own)).toBeUndefined();
  });

  test('a slot with the algorithm of the other kind of key does not open', () => {
    const alg = own.alg === 'RSA-OAEP-256' ? 'ECDH-ES+A256KW' : 'RSA-OAEP-256';
    const epk = own.jwk.kty === 'RSA' ? p256.jwk : undefined;
    const slot = handMade(own, { header: { alg, epk } });
    expect(() => opened(slot, own)).toThrow('the key slot is for the key, but does not open with it');
  });

  test.each([
    ['a content key of 16 bytes', { cek: randomBytes(16) }],
    ['a payload of 31 bytes', { payload: randomBytes(31) }],
    ['a payload of 33 bytes', { payload: randomBytes(33) }],
    ['a wrapped key of one byte', { wrapped: Buffer.of(1) }],
    ['a wrapped key of zeros', { wrapped: Buffer.alloc(256) }],
    ['the longest wrapped key', { wrapped: Buffer.alloc(6144, 1) }],
  ])('%s is an error', (_what, changes) => {
    expect(() => opened(handMade(own, changes), own)).toThrow('damaged or forged');
  });

  test('any one bit flipped', async () => {
    const slot = await wrapForPublicKey(imageKey, imageId, own.jwk);
    const members = fc.constantFrom('protected', 'encrypted_key', 'iv', 'ciphertext', 'tag' as const);
    fc.assert(
      fc.property(members, fc.nat(), (member, at) => {
        const bytes = Buffer.from(slot[member], 'base64url');
        const bit = at % (bytes.length * 8);
        bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        expect(openedOrDamaged({ ...slot, [member]: bytes.toString('base64url') }, own)).toBeUndefined();
      }),
      { numRuns: 150 },
    );
  });
});

describe('a hostile ephemeral key does not open', () => {
  const zero = (size: number): string => Buffer.alloc(size).toString('base64url');
  const curves = nist.map(({ jwk }) => jwk as Extract<RecipientJwk, { kty: 'EC' }>);

  test.each(nist)('$name: points of other curves, points on none, coordinates of other sizes', (own) => {
    const size = { 'P-256': 32, 'P-384': 48, 'P-521': 66 }[own.name as NistCurve];
    const jwk = own.jwk as Extract<RecipientJwk, { kty: 'EC' }>;
    const other = Buffer.from(jwk.y, 'base64url');
    other[size - 1] = (other[size - 1] ?? 0) ^ 1;
    const points: unknown[] = [
      ...curves.filter(({ crv }) => crv !== jwk.crv),
      ...curves.filter(({ crv }) => crv !== jwk.crv).map(({ x, y }) => ({ ...jwk, x, y })),
      { ...jwk, y: other.toString('base64url') },
      { ...jwk, x: zero(size), y: zero(size) },
      { ...jwk, x: zero(size + 1) },
      { ...jwk, x: zero(4096) },
      { ...jwk, x: `${jwk.x}A` },
      { ...jwk, x: Buffer.from(jwk.x, 'base64url').subarray(1).toString('base64url') },
      { ...jwk, d: jwk.x },
      { ...jwk, y: undefined },
      { ...jwk, kty: 'OKP' },
      x25519.jwk,
      rsa.jwk,
      'AAAA',
      null,
      [],
      undefined,
    ];
    for (const epk of points) expect(openedOrDamaged(handMade(own, { header: { epk } }), own)).toBeUndefined();
  });

  test('X25519: points of small order, and what is none', () => {
    const one = Buffer.alloc(32);
    one[0] = 1;
    for (const x of [zero(32), one.toString('base64url'), zero(31), zero(33), '', 'A']) {
      const epk = { kty: 'OKP', crv: 'X25519', x };
      expect(openedOrDamaged(handMade(x25519, { header: { epk } }), x25519)).toBeUndefined();
    }
    const epk = { ...x25519.jwk, crv: 'Ed25519' };
    expect(openedOrDamaged(handMade(x25519, { header: { epk } }), x25519)).toBeUndefined();
  });

  test('any JSON as a protected header is passed over', () => {
    const slot = handMade(p256);
    fc.assert(
      fc.property(fc.json(), (text) => {
        expect(opened({ ...slot, protected: Buffer.from(text).toString('base64url') }, p256)).toBeUndefined();
      }),
      { numRuns: 200 },
    );
  });
});

describe('of many slots', () => {
  test('the first one for the key is opened, wherever it is', async () => {
    const others = await Promise.all(pairs.slice(1).map(({ jwk }) => wrapForPublicKey(imageKey, imageId, jwk)));
    const mine = await wrapForPublicKey(imageKey, imageId, rsa.jwk);
    const slots: Slot[] = [...others, await wrapIntoSlot(imageKey, imageId, Secret.random(32)), mine, mine];
    expect(unwrapWithPrivateKey(slots, imageId, rsa.key, 'k')?.slot).toBe(5);
    expect(unwrapWithPrivateKey(others, imageId, rsa.key, 'k')).toBeUndefined();
  });

  test('64 slots for keys of 16,384 bits cost no use of the key, and 64 for it cost one', () => {
    let uses = 0;
    const counting = new Proxy(rsa.key, {
      get: (target, name) => {
        if (name === 'publicJwk') return target.publicJwk;
        uses++;
        return target.decryptOaep256.bind(target);
      },
    });
    const large = { encrypted_key: Buffer.alloc(2048, 1).toString('base64url') };
    const foreign = { ...handMade(rsa, { header: { kid: p256.kid } }), ...large };
    expect(unwrapWithPrivateKey(Array(64).fill(foreign), imageId, counting, 'k')).toBeUndefined();
    expect(uses).toBe(0);
    const named = { ...handMade(rsa), ...large };
    expect(() => unwrapWithPrivateKey(Array(64).fill(named), imageId, counting, 'k')).toThrow(
      'key slot 1 of 64 is for k',
    );
    expect(uses).toBe(1);
  });
});

describe('other implementations', () => {
  const directory = new KeyDirectory();
  afterAll(() => directory.remove());

  /** Runs the jose command of Debian. */
  function jose(...args: string[]): Buffer {
    return execFileSync('jose', args, { cwd: directory.path, stdio: ['ignore', 'pipe', 'inherit'] });
  }

  /** Returns the slot that the jose command makes; compact, because in JSON it leaves epk unprotected. */
  function joseSlot(alg: string, kid: string | undefined, keyFile: string): SlotJwe {
    writeFileSync(directory.file('payload'), right());
    const header = { alg, enc: 'A256GCM', ckptfs, ...(kid === undefined ? {} : { kid }) };
    const template = JSON.stringify({ protected: header });
    const [prot = '', key = '', iv = '', ciphertext = '', tag = ''] = jose(
      ...['jwe', 'enc', '-c', '-i', template, '-I', 'payload', '-k', keyFile],
    )
      .toString()
      .trim()
      .split('.');
    return parseSlot({ protected: prot, encrypted_key: key, iv, ciphertext, tag });
  }

  function joseOpens(slot: Slot, keyFile: string): Buffer {
    const { header: _people, ...jwe } = slot;
    writeFileSync(directory.file('slot.json'), JSON.stringify(jwe));
    return jose('jwe', 'dec', '-i', 'slot.json', '-k', keyFile);
  }

  test.each(nist)('the jose command opens ours for $name, and we open its', async (own) => {
    const { kty, crv, x, y, d } = own.privateKey.export({ format: 'jwk' });
    writeFileSync(directory.file('key.jwk'), JSON.stringify({ kty, crv, x, y, d }));
    writeFileSync(directory.file('key.pub'), JSON.stringify(own.jwk));
    expect(joseOpens(await wrapForPublicKey(imageKey, imageId, own.jwk), 'key.jwk')).toEqual(right());
    expect(opened(joseSlot('ECDH-ES+A256KW', own.kid, 'key.pub'), own)).toEqual(right());
  });

  test('the jose command opens ours for A256KW, and we open its', async () => {
    const key = Secret.random(32);
    writeFileSync(
      directory.file('key.jwk'),
      JSON.stringify({ kty: 'oct', k: Buffer.from(key.bytes).toString('base64url') }),
    );
    expect(joseOpens(await wrapIntoSlot(imageKey, imageId, key), 'key.jwk')).toEqual(right());
    const found = unwrapFromSlot(joseSlot('A256KW', undefined, 'key.jwk'), imageId, key);
    expect(Buffer.from(found?.bytes ?? [])).toEqual(right());
  });

  // The jose command of Debian has no RSA-OAEP-256.
  test('the openssl command unwraps our content key for RSA, and we unwrap its', async () => {
    writeFileSync(directory.file('rsa.pem'), rsa.privateKey.export({ format: 'pem', type: 'pkcs8' }), { mode: 0o600 });
    const oaep = '-pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:sha256 -pkeyopt rsa_mgf1_md:sha256';
    const slot = await wrapForPublicKey(imageKey, imageId, rsa.jwk);
    const cek = directory.openssl(
      `pkeyutl -decrypt -inkey rsa.pem ${oaep}`,
      Buffer.from(slot.encrypted_key, 'base64url'),
    );
    const content = await crypto.subtle.importKey('raw', cek, 'AES-GCM', false, ['decrypt']);
    const [iv, ciphertext, tag] = [slot.iv, slot.ciphertext, slot.tag].map((text) => Buffer.from(text, 'base64url'));
    const parameters = { name: 'AES-GCM', iv: iv ?? Buffer.of(), additionalData: Buffer.from(slot.protected) };
    const message = Buffer.concat([ciphertext ?? Buffer.of(), tag ?? Buffer.of()]);
    expect(Buffer.from(await crypto.subtle.decrypt(parameters, content, message))).toEqual(right());

    const own = randomBytes(32);
    const wrapped = directory.openssl(`pkeyutl -encrypt -inkey rsa.pem ${oaep}`, own);
    expect(opened(handMade(rsa, { cek: own, wrapped }), rsa)).toEqual(right());
  });
});

test('the ephemeral key is of the kernel, not of WebCrypto', async () => {
  const generate = crypto.subtle.generateKey;
  const made: unknown[] = [];
  crypto.subtle.generateKey = ((...args: unknown[]) => {
    made.push(args);
    return Promise.reject<CryptoKey>(new Error('not from here'));
  }) as typeof generate;
  try {
    for (const { jwk } of pairs) await wrapForPublicKey(imageKey, imageId, jwk);
  } finally {
    crypto.subtle.generateKey = generate;
  }
  expect(made).toEqual([]);
});
