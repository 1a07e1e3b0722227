import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { Secret } from '../../../src/crypto/secret.ts';
import { keyDirectory } from '../../../src/keys/identities/key-directory.ts';
import { PrivateKeyFile } from '../../../src/keys/identities/private-key-file.ts';
import type { Identity } from '../../../src/keys/provider.ts';
import { symmetricKeyProvider } from '../../../src/keys/symmetric-key.ts';
import type { CriuDirectory } from '../../../src/library/criu-directory.ts';
import { EncryptedImage } from '../../../src/library/encrypted-image.ts';
import { inspectCriu } from '../../../src/library/inspect-criu.ts';
import { openReadable } from '../../../src/library/open-readable.ts';
import type { Opening } from '../../../src/library/unlock.ts';
import { criuCase, criuCases } from '../../support/criu-fixtures.ts';
import {
  copyOfCase,
  digestOf,
  filesIn,
  fixtureIdentity,
  keyPath,
  temporaryDirectory,
} from '../../support/criu-trees.ts';

async function opened(
  location: string,
  identities: readonly Identity[] = [fixtureIdentity()],
  options: Partial<Parameters<typeof openReadable>[1]> = {},
): Promise<CriuDirectory> {
  const image = await openReadable(location, { keys: [], identities: async () => identities, ...options });
  if (image.format !== 'criu') throw new Error('not a directory that CRIU encrypted');
  return image;
}

/** Changes one byte of a file. */
function flip(file: string, at: number): void {
  const bytes = readFileSync(file);
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  writeFileSync(file, bytes);
}

const key = Secret.copy(Buffer.alloc(32, 7));
const provider = symmetricKeyProvider(key, 'key file k', { kind: 'key', created: '2026-01-01T00:00:00Z' });

describe.each(criuCases.map((each) => [each.name, each] as const))('%s', (_, { encrypted, plain }) => {
  test('equals its plain twin when it is read, extracted, and encrypted into an image of ours', async () => {
    const directory = temporaryDirectory();
    const image = await opened(encrypted);
    const expected = filesIn(plain);
    for (const [name, digest] of expected) expect(digestOf(image.readFile(name)), name).toBe(digest);
    const { damage } = await image.verify();
    expect(damage).toEqual([]);
    expect(await image.extract(path.join(directory, 'clear'))).toEqual({ losses: [] });
    expect(filesIn(path.join(directory, 'clear'))).toEqual(expected);
    const destination = path.join(directory, 'enc');
    const made = await image.encrypt({
      destination,
      makeSlots: async (imageKey, imageId) => [await provider.wrap(imageKey, imageId)],
    });
    expect(made).toMatchObject({ files: expected.size, losses: [] });
    const converted = await EncryptedImage.open(destination, { keys: [provider] });
    for (const [name, digest] of expected) expect(digestOf(converted.readFile(name)), name).toBe(digest);
    const times = (status: { readonly mode: number; readonly mtime: unknown; readonly atime: unknown }) => [
      status.mode,
      status.mtime,
    ];
    for (const each of image.list()) {
      const copy = converted.stat(each.name);
      expect(times(copy)).toEqual(times(each));
      expect(copy.target).toEqual(each.target);
    }
    converted.close();
    image.close();
    image.close();
    expect(() => image.list()).toThrow('closed');
  });
});

describe('verify', () => {
  test('names a damaged image, and pages that are others than the digest says', async () => {
    const dump = copyOfCase('rich');
    flip(path.join(dump, 'files.img'), 50);
    flip(path.join(dump, 'pages-1.img'), 10);
    const image = await opened(dump);
    const report = await image.verify();
    expect(report.damage.map(({ file }) => file.toString()).sort()).toEqual(['cipher.img', 'files.img']);
    expect(report.pages).toMatchObject([{ outcome: 'differs' }]);
    image.close();
  });

  test('an interrupted one stops', async () => {
    const image = await opened(criuCase('rich').encrypted);
    await expect(image.verify({ signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'interrupted' });
    image.close();
  });
});

describe('a conversion', () => {
  test('that meets damage leaves nothing', async () => {
    const dump = copyOfCase('loop');
    flip(path.join(dump, 'files.img'), 50);
    const image = await opened(dump);
    const destination = path.join(temporaryDirectory(), 'enc');
    const makeSlots = async (imageKey: Secret, imageId: Buffer) => [await provider.wrap(imageKey, imageId)];
    await expect(image.encrypt({ destination, makeSlots })).rejects.toMatchObject({
      code: 'damaged',
      path: 'files.img',
    });
    expect(readdirSync(path.dirname(destination))).toEqual([]);
    await expect(image.encrypt({ destination, makeSlots, signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: 'interrupted',
    });
    expect(readdirSync(path.dirname(destination))).toEqual([]);
    image.close();
  });
});

describe('keys', () => {
  const { encrypted } = criuCase('loop');

  test('a directory of keys is tried one by one, those that a passphrase protects last', async () => {
    const keys = temporaryDirectory();
    writeFileSync(path.join(keys, 'ec.pem'), pem(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey));
    cpSync(keyPath('rsa3072-key.pem'), path.join(keys, 'other.pem'));
    writeFileSync(path.join(keys, 'note.txt'), 'no key');
    await expect(opened(encrypted, [keyDirectory(keys)])).rejects.toMatchObject({ code: 'wrong-key' });
    const asked: string[] = [];
    const passphrase = async (file: string): Promise<Secret> => {
      asked.push(path.basename(file));
      return Secret.copy(Buffer.from('right'));
    };
    const fitting = createPrivateKey(readFileSync(keyPath('rsa2048-key.pem')));
    writeFileSync(path.join(keys, 'a.pem'), protectedPem(fitting, 'another'));
    writeFileSync(path.join(keys, 'b.pem'), protectedPem(fitting, 'right'));
    (await opened(encrypted, [keyDirectory(keys, passphrase)])).close();
    expect(asked).toEqual(['a.pem', 'b.pem']);
    cpSync(keyPath('rsa2048-key.pem'), path.join(keys, 'plain.pem'));
    (await opened(encrypted, [keyDirectory(keys, passphrase)])).close();
    expect(asked).toHaveLength(2);
  });

  test('a key that a passphrase protects needs it, and a wrong one is said to be wrong', async () => {
    const file = path.join(temporaryDirectory(), 'k.pem');
    writeFileSync(file, protectedPem(createPrivateKey(readFileSync(keyPath('rsa2048-key.pem'))), 'right'));
    const by = (text?: string): Identity =>
      PrivateKeyFile.read(file, text === undefined ? undefined : async () => Secret.copy(Buffer.from(text)));
    (await opened(encrypted, [by('right')])).close();
    await expect(opened(encrypted, [by('wrong')])).rejects.toMatchObject({
      code: 'bad-key-file',
      data: { reason: 'wrong-passphrase' },
    });
    await expect(opened(encrypted, [by()])).rejects.toMatchObject({
      code: 'bad-key-file',
      data: { reason: 'passphrase-needed' },
    });
  });

  test('other keys than private ones are none', async () => {
    await expect(opened(encrypted, [provider])).rejects.toMatchObject({ code: 'no-key' });
  });

  test('each opening is told, with what opened it or why nothing did', async () => {
    const openings: Opening[] = [];
    const onOpening = (opening: Opening): number => openings.push(opening);
    const { imageId } = inspectCriu(encrypted);
    (await opened(encrypted, [fixtureIdentity()], { onOpening })).close();
    await expect(opened(encrypted, [], { onOpening })).rejects.toMatchObject({ code: 'no-key' });
    expect(openings).toMatchObject([
      { imageId, source: expect.stringContaining('rsa2048-key.pem') },
      { imageId, error: { code: 'no-key' } },
    ]);
    await expect(opened(encrypted, [fixtureIdentity()], { imageId: '0'.repeat(32) })).rejects.toMatchObject({
      code: 'wrong-image',
    });
    expect(() => inspectCriu(encrypted, '0'.repeat(32))).toThrow('known as');
    const admitCriu = (): never => {
      throw new Error('not admitted');
    };
    await expect(opened(encrypted, [fixtureIdentity()], { admitCriu })).rejects.toThrow('not admitted');
  });

  test('a demanded signature refuses what has none, before any key is asked for', async () => {
    const signature = { trust: { verify: () => undefined } } as never;
    const identities = async (): Promise<never> => {
      throw new Error('asked for keys');
    };
    await expect(openReadable(encrypted, { keys: [], identities, signature })).rejects.toMatchObject({
      code: 'untrusted',
      data: { reason: 'unsigned' },
    });
  });
});

test('a directory that is neither is refused as before', async () => {
  const directory = temporaryDirectory();
  mkdirSync(path.join(directory, 'sub'));
  await expect(opened(directory)).rejects.toMatchObject({ code: 'not-an-image', data: { reason: 'no-header' } });
});

function pem(privateKey: ReturnType<typeof createPrivateKey>): string {
  return privateKey.export({ format: 'pem', type: 'pkcs8' }).toString();
}

function protectedPem(privateKey: ReturnType<typeof createPrivateKey>, passphrase: string): string {
  return privateKey.export({ format: 'pem', type: 'pkcs8', cipher: 'aes-256-cbc', passphrase }).toString();
}
