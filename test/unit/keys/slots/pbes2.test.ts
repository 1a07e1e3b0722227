import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { FlattenedEncrypt, flattenedDecrypt } from 'jose';
import { afterAll, describe, expect, test } from 'vitest';
import { Secret } from '../../../../src/crypto/secret.ts';
import { primitives } from '../../../../src/crypto/select.ts';
import { parseSlot, type Slot } from '../../../../src/format/slot.ts';
import {
  derivationOf,
  IterationBudget,
  unwrapByPassphrase,
  wrapByPassphrase,
} from '../../../../src/keys/slots/pbes2.ts';

const imageId = Buffer.alloc(16, 0x5a);
const passphrase = Secret.copy(Buffer.from('correct horse é'));
const algorithm = 'PBES2-HS512+A256KW';
const few = 1000;

interface Made {
  readonly parameters?: object;
  readonly salt?: Uint8Array;
  readonly count?: number;
  readonly payload?: Uint8Array;
}

/** A slot by jose, with a count that costs no time. */
async function byJose({ parameters = {}, salt = randomBytes(16), count = few, payload = randomBytes(32) }: Made = {}) {
  const jwe = await new FlattenedEncrypt(new Uint8Array(payload))
    .setProtectedHeader({ alg: algorithm, enc: 'A256GCM', ckptfs: imageId.toString('hex'), ...parameters })
    .setKeyManagementParameters({ p2s: new Uint8Array(salt), p2c: count })
    .encrypt(Uint8Array.from(passphrase.bytes));
  return parseSlot({ ...jwe });
}

const directory = mkdtempSync(join(tmpdir(), 'ckptfs-pbes2-'));
afterAll(() => rmSync(directory, { recursive: true }));
const path = (name: string) => join(directory, name);

/** Runs Debian's jose with the passphrase. */
function debianJose(args: readonly string[], input: string, payload = Buffer.alloc(0)): Buffer {
  writeFileSync(path('payload'), payload);
  writeFileSync(path('jwk'), JSON.stringify({ kty: 'oct', k: Buffer.from(passphrase.bytes).toString('base64url') }));
  return execFileSync('jose', ['jwe', ...args, '-k', path('jwk')], { input, stdio: ['pipe', 'pipe', 'pipe'] });
}

async function opened(slot: Slot, secret = passphrase): Promise<Buffer | undefined> {
  const derivation = derivationOf(slot, imageId);
  if (derivation === undefined) return undefined;
  const imageKey = await unwrapByPassphrase(slot, derivation, secret, primitives('openssl'));
  const twin = await unwrapByPassphrase(slot, derivation, secret, primitives('node'));
  expect(twin && Buffer.from(twin.bytes)).toEqual(imageKey && Buffer.from(imageKey.bytes));
  return imageKey && Buffer.from(imageKey.bytes);
}

const parametersOf = (slot: Slot) => JSON.parse(Buffer.from(slot.protected, 'base64url').toString());
const withParameters = (slot: Slot, parameters: object): Slot => ({
  ...slot,
  protected: Buffer.from(JSON.stringify(parameters)).toString('base64url'),
});

describe('a slot for a passphrase', () => {
  test('is as format.md has it, and opens by its passphrase only', async () => {
    const imageKey = Secret.random(32);
    const slot = await wrapByPassphrase(imageKey, imageId, passphrase, { kind: 'passphrase', label: 'mine' });
    expect(parseSlot(slot)).toEqual(slot);
    expect(slot.header).toEqual({ kind: 'passphrase', label: 'mine' });
    const { p2s, ...others } = parametersOf(slot);
    expect(others).toEqual({ alg: algorithm, enc: 'A256GCM', ckptfs: imageId.toString('hex'), p2c: 600_000 });
    expect(Buffer.from(p2s, 'base64url')).toHaveLength(16);
    expect(await opened(slot)).toEqual(Buffer.from(imageKey.bytes));
    expect(await opened(slot, Secret.copy(Buffer.from('wrong')))).toBeUndefined();
    expect(derivationOf(slot, Buffer.alloc(16))).toBeUndefined();
  });

  test.each(['openssl', 'node'] as const)('made by %s opens by jose', async (name) => {
    const imageKey = Secret.random(32);
    const { header: _, ...slot } = await wrapByPassphrase(imageKey, imageId, passphrase, {}, 210_000, primitives(name));
    const { plaintext } = await flattenedDecrypt(slot, Uint8Array.from(passphrase.bytes), {
      keyManagementAlgorithms: [algorithm],
      maxPBES2Count: 210_000,
    });
    expect(Buffer.from(plaintext)).toEqual(Buffer.from(imageKey.bytes));
  });

  test('made by jose opens, with salts of 16 to 64 bytes', async () => {
    for (const size of [16, 33, 64]) {
      const payload = randomBytes(32);
      expect(await opened(await byJose({ salt: randomBytes(size), payload }))).toEqual(payload);
    }
  });

  // It reads at most 32,768 iterations, fewer than ckptfs writes, and writes p2s and p2c where nothing authenticates
  // them, so that what it makes is not a slot of an image; the keys are derived alike.
  test('the command of Debian and ckptfs open what the other can', async () => {
    const payload = randomBytes(32);
    const slot = await byJose({ payload, count: 32_768 });
    expect(debianJose(['dec', '-i', '-'], JSON.stringify(slot))).toEqual(payload);
    const template = { protected: { alg: algorithm, enc: 'A256GCM', ckptfs: imageId.toString('hex') } };
    const made = JSON.parse(
      debianJose(['enc', '-I', path('payload'), '-i', '-'], JSON.stringify(template), payload).toString(),
    );
    const derivation = { salt: Buffer.from(made.header.p2s, 'base64url'), iterations: made.header.p2c };
    const imageKey = await unwrapByPassphrase(made, derivation, passphrase);
    expect(Buffer.from(imageKey?.bytes ?? [])).toEqual(payload);
    expect(derivationOf(made, imageId)).toBeUndefined();
  });

  test('every slot has a salt and a content key of its own', async () => {
    const imageKey = Secret.random(32);
    const make = () => wrapByPassphrase(imageKey, imageId, passphrase, {}, 210_000);
    const [a, b] = [await make(), await make()];
    for (const name of ['protected', 'encrypted_key', 'iv', 'ciphertext', 'tag'] as const)
      expect(a[name]).not.toBe(b[name]);
  });

  test.each([0, 209_999, 4_000_001, Number.NaN])('is not made with %d iterations', async (count) => {
    await expect(wrapByPassphrase(Secret.random(32), imageId, passphrase, {}, count)).rejects.toThrow('iterations');
  });
});

describe('a hostile slot is left alone before anything is computed', () => {
  test.each([
    ['too few iterations', { p2c: 999 }],
    ['too many iterations', { p2c: 4_000_001 }],
    ['iterations beyond 32 bits', { p2c: 2 ** 32 + 1000 }],
    ['negative iterations', { p2c: -1000 }],
    ['a part of an iteration', { p2c: 1000.5 }],
    ['iterations as text', { p2c: '1000' }],
    ['a list of iterations', { p2c: [1000] }],
    ['a short salt', { p2s: 'A'.repeat(20) }],
    ['a long salt', { p2s: 'A'.repeat(88) }],
    ['a salt that is no base64url', { p2s: `${'A'.repeat(22)}+` }],
    ['a salt with bits that count for nothing', { p2s: `${'A'.repeat(21)}B` }],
    ['a salt that is no text', { p2s: 7 }],
    ['another image', { ckptfs: '00'.repeat(16) }],
    ['another algorithm', { alg: 'PBES2-HS256+A128KW' }],
    ['another encryption', { enc: 'A128GCM' }],
    ['compression', { zip: 'DEF' }],
    ['critical parameters', { crit: ['p2c'] }],
    ['a thumbprint', { kid: 'x' }],
  ])('%s', async (_what, parameters) => {
    const slot = await byJose();
    expect(derivationOf(slot, imageId)).toBeDefined();
    expect(derivationOf(withParameters(slot, { ...parametersOf(slot), ...parameters }), imageId)).toBeUndefined();
  });

  test.each(['p2s', 'p2c'])('without %s', async (name) => {
    const slot = await byJose();
    const { [name]: _, ...others } = parametersOf(slot);
    expect(derivationOf(withParameters(slot, others), imageId)).toBeUndefined();
  });

  test('any parameters', async () => {
    const slot = await byJose();
    fc.assert(
      fc.property(fc.anything(), fc.anything(), (p2s, p2c) => {
        const derivation = derivationOf(withParameters(slot, { ...parametersOf(slot), p2s, p2c }), imageId);
        if (derivation === undefined) return;
        expect(derivation.salt.length).toBeGreaterThanOrEqual(16);
        expect(derivation.iterations).toBeLessThanOrEqual(4_000_000);
      }),
    );
  });
});

describe('a slot that was changed does not open', () => {
  test.each([1, 16, 31, 33])('with an image key of %i bytes', async (length) => {
    expect(await opened(await byJose({ payload: randomBytes(length) }))).toBeUndefined();
  });

  test('in any member', async () => {
    const slot = await byJose();
    for (const name of ['encrypted_key', 'iv', 'ciphertext', 'tag'] as const) {
      const bytes = Buffer.from(slot[name], 'base64url');
      bytes[0] = (bytes[0] ?? 0) ^ 1;
      expect(await opened({ ...slot, [name]: bytes.toString('base64url') })).toBeUndefined();
    }
    const other = await byJose();
    expect(await opened({ ...slot, protected: other.protected })).toBeUndefined();
    expect(await opened(slot)).toBeDefined();
  });
});

test('an image has 8,000,000 iterations in all, anew once it was opened', () => {
  const budget = new IterationBudget();
  const other = Buffer.alloc(16, 1);
  expect([budget.spend(imageId, 4_000_000), budget.spend(imageId, 4_000_000)]).toEqual([true, true]);
  expect(budget.spend(imageId, 1000)).toBe(false);
  expect(budget.spend(other, 4_000_000)).toBe(true);
  budget.reset(imageId);
  expect(budget.spend(imageId, 1000)).toBe(true);
});
