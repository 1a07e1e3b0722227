import { constants, createPublicKey, generateKeyPairSync, publicEncrypt, randomBytes } from 'node:crypto';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { CkptfsError } from '../../../src/base/errors.ts';
import { Directory } from '../../../src/base/linux/directory.ts';
import { LAYER_SECRETS_SIZE, type LayerKey, unlockLayer } from '../../../src/criu/unlock-layer.ts';
import { readPrivateKey } from '../../../src/crypto/private-key-file.ts';
import { Secret } from '../../../src/crypto/secret.ts';
import { cipherImage } from '../../support/criu-encryption.ts';
import { CRIU_FIXTURES, type CriuLayerFixture, criuLayer, criuLayers } from '../../support/criu-fixtures.ts';

const temporary: string[] = [];

afterEach(() => {
  for (const each of temporary.splice(0)) rmSync(each, { recursive: true });
});

function keyOf(pem: string | Buffer, source = 'private key k'): LayerKey {
  return { source, key: readPrivateKey(Buffer.from(pem)) };
}

function fixtureKey(name: string): LayerKey {
  return keyOf(readFileSync(path.join(CRIU_FIXTURES, 'keys', name)), `private key ${name}`);
}

function madeKey(type: 'rsa' | 'ec'): LayerKey {
  const pair =
    type === 'rsa'
      ? generateKeyPairSync('rsa', { modulusLength: 2048 })
      : generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return keyOf(pair.privateKey.export({ format: 'pem', type: 'pkcs8' }), `private key ${type}`);
}

function unlocked(directory: string, keys: readonly LayerKey[]): { source: string; secrets: Buffer } {
  const into = Secret.zeros(LAYER_SECRETS_SIZE);
  const held = Directory.open(directory);
  try {
    const source = unlockLayer(held, keys, into.bytes);
    return { source, secrets: Buffer.from(into.bytes) };
  } catch (error) {
    expect(into.bytes.every((byte) => byte === 0)).toBe(true);
    throw error;
  } finally {
    held.close();
    into.wipe();
    for (const { key } of keys) key.dispose();
  }
}

function copyOf({ encrypted }: CriuLayerFixture): string {
  const copy = mkdtempSync(path.join(tmpdir(), 'criu-'));
  temporary.push(copy);
  cpSync(encrypted, copy, { recursive: true, verbatimSymlinks: true });
  return copy;
}

function refusal(attempt: () => unknown): CkptfsError {
  try {
    attempt();
  } catch (error) {
    if (error instanceof CkptfsError) return error;
    throw error;
  }
  throw new Error('nothing was refused');
}

/** Encrypts for the key of the fixtures. */
function wrapped(bytes: Uint8Array): Buffer {
  const key = createPublicKey(readFileSync(path.join(CRIU_FIXTURES, 'keys', 'rsa2048-cert.pem')));
  return publicEncrypt({ key, padding: constants.RSA_PKCS1_PADDING }, bytes);
}

describe.each(criuLayers.map((layer): [string, CriuLayerFixture] => [layer.name, layer]))('%s', (_, layer) => {
  test('opens by its key, whatever keys come before', () => {
    const key = fixtureKey('rsa2048-key.pem');
    expect(unlocked(layer.encrypted, [madeKey('ec'), fixtureKey('rsa3072-key.pem'), key])).toEqual({
      source: key.source,
      secrets: layer.secrets,
    });
  });
});

describe('a directory that does not open', () => {
  const loop = criuLayer('loop');
  const secrets = { token: loop.secrets.subarray(0, 32), pagesKey: loop.secrets.subarray(32) };
  const withCipher = (token: Uint8Array, pagesKey: Uint8Array): string => {
    const copy = copyOf(loop);
    writeFileSync(path.join(copy, 'cipher.img'), cipherImage(wrapped(token), wrapped(pagesKey), Buffer.alloc(16)));
    return copy;
  };
  const open = (directory: string, keys = [fixtureKey('rsa2048-key.pem')]) => refusal(() => unlocked(directory, keys));

  test('no key', () => {
    expect(open(loop.encrypted, [])).toMatchObject({ code: 'no-key', data: { needs: 'rsa-key' } });
  });

  test('another RSA key', () => {
    const error = open(loop.encrypted, [madeKey('rsa')]);
    expect(error.code).toBe('wrong-key');
    expect(error.message).toContain('none is the RSA key that it was encrypted for');
  });

  test('a key of a curve', () => {
    const error = open(loop.encrypted, [madeKey('ec')]);
    expect(error.code).toBe('wrong-key');
    expect(error.message).toContain('CRIU encrypts for RSA keys only');
  });

  test.each([
    [16, 64, 'its token has 16 bytes, not 32'],
    [33, 64, 'its token has 33 bytes, not 32'],
    [32, 32, 'its AES key has 32 bytes, not 64'],
    [32, 65, 'its AES key has 65 bytes, not 64'],
    [32, 0, 'its AES key is damaged'],
  ])('a token of %i bytes and an AES key of %i', (tokenSize, keySize, reason) => {
    const error = open(withCipher(randomBytes(tokenSize), randomBytes(keySize)));
    expect(error.code).toBe('damaged');
    expect(error.message).toContain(reason);
  });

  test('an AES key of two equal halves', () => {
    expect(open(withCipher(secrets.token, Buffer.alloc(64, 7)))).toMatchObject({
      code: 'damaged',
      message: expect.stringContaining('the two halves of its AES key are equal'),
    });
  });

  test('another token, by which no tag matches', () => {
    const error = open(withCipher(randomBytes(32), secrets.pagesKey));
    expect(error.code).toBe('damaged');
    expect(error.message).toContain('the tag of no image matches');
  });

  test('memory alone: a pagemap proves the token, and without any tag nothing does', () => {
    const only = (names: RegExp, cipher = loop.encrypted): string => {
      const copy = mkdtempSync(path.join(tmpdir(), 'criu-'));
      temporary.push(copy);
      for (const name of readdirSync(loop.encrypted))
        if (names.test(name)) cpSync(path.join(loop.encrypted, name), path.join(copy, name));
      cpSync(path.join(cipher, 'cipher.img'), path.join(copy, 'cipher.img'));
      return copy;
    };
    const key = 'rsa2048-key.pem';
    expect(unlocked(only(/^page/), [fixtureKey(key)]).secrets).toEqual(loop.secrets);
    const other = withCipher(randomBytes(32), secrets.pagesKey);
    for (const directory of [only(/^page/, other), only(/^pages-/, other), only(/^pages-/)])
      expect(open(directory)).toMatchObject({
        code: 'damaged',
        message: expect.stringContaining('the tag of no image matches'),
      });
    expect(unlocked(only(/^stats/), [fixtureKey(key)]).secrets).toEqual(loop.secrets);
  });

  test('cipher.img is missing, empty or cut', () => {
    for (const length of [undefined, 0, 11, 581]) {
      const copy = copyOf(loop);
      const file = path.join(copy, 'cipher.img');
      const contents = readFileSync(file);
      rmSync(file);
      if (length !== undefined) writeFileSync(file, contents.subarray(0, length));
      expect(open(copy)).toMatchObject({ code: 'damaged', path: file });
    }
  });

  test('each bit of the wrapped secrets counts', () => {
    const copy = copyOf(loop);
    const file = path.join(copy, 'cipher.img');
    const contents = readFileSync(file);
    for (const at of [12 + 3, 12 + 200, 12 + 259 + 3, 12 + 259 + 200]) {
      writeFileSync(
        file,
        contents.map((byte, index) => (index === at ? byte ^ 0x10 : byte)),
      );
      expect(['wrong-key', 'damaged']).toContain(open(copy).code);
    }
  });
});

test('a damaged inventory does not keep the rest from opening', () => {
  const copy = copyOf(criuLayer('loop'));
  const file = path.join(copy, 'inventory.img');
  writeFileSync(
    file,
    readFileSync(file).map((byte, at) => (at === 40 ? byte ^ 1 : byte)),
  );
  expect(unlocked(copy, [fixtureKey('rsa2048-key.pem')]).secrets).toEqual(criuLayer('loop').secrets);
});

test('a directory without any entry opens: it has nothing to decrypt', () => {
  const copy = copyOf(criuLayer('loop'));
  for (const name of readdirSync(copy)) if (name !== 'cipher.img') rmSync(path.join(copy, name));
  expect(unlocked(copy, [fixtureKey('rsa2048-key.pem')]).secrets).toEqual(criuLayer('loop').secrets);
});
