// Goal: keys in real tokens make and open slots that are those of any symmetric or public key, and what is wrong with a
// token is said. Method: SoftHSM, and the token of NSS, whose OAEP takes SHA-256.
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { CkptfsError } from '../../../../src/base/errors.ts';
import { Secret } from '../../../../src/crypto/secret.ts';
import type { Slot } from '../../../../src/format/slot.ts';
import { slotAlgorithm } from '../../../../src/format/slot.ts';
import type { KeyFileWarning } from '../../../../src/keys/key-file.ts';
import { recipientIn } from '../../../../src/keys/recipients/pem.ts';
import { openKeyService } from '../../../../src/keys/services/registry.ts';
import type { ServiceProvider } from '../../../../src/keys/services/service.ts';
import { symmetricKeyProvider } from '../../../../src/keys/symmetric-key.ts';
import { nssToken, softHsmToken, type TestToken } from '../../../support/tokens.ts';
import { describeIf } from '../../../system/support/requirements.ts';
import { testContract } from './contract.ts';

const imageId = Buffer.alloc(16, 0x5e);

async function using<T>(uri: string, use: (provider: ServiceProvider) => Promise<T>): Promise<T> {
  const provider = await openKeyService(uri, {});
  try {
    return await use(provider);
  } finally {
    provider.wipe();
  }
}

const made = (uri: string, imageKey = Secret.random(32)): Promise<Slot> =>
  using(uri, (provider) => provider.wrap(imageKey, imageId));

async function opens(uri: string, slots: readonly Slot[]): Promise<Buffer | undefined> {
  return using(uri, async (provider) => {
    const found = await provider.unwrap(slots, imageId);
    const bytes = found && Buffer.from(found.imageKey.bytes);
    found?.imageKey.wipe();
    return bytes;
  });
}

/** Returns code, reason and message of what a URI fails with when a slot is to be made. */
async function failure(uri: string): Promise<{ code: string; reason: string | undefined; message: string }> {
  const error = await using(uri, (provider) => provider.prepare()).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof CkptfsError)) throw error ?? new Error(`${uri} did not fail`);
  const reason = error.data !== undefined && 'reason' in error.data ? error.data.reason : undefined;
  return { code: error.code, reason, message: error.message };
}

function testKeys(token: TestToken, objects: readonly string[]): void {
  for (const object of objects) {
    describe(object, () => {
      testContract({
        kind: 'pkcs11',
        open: () => openKeyService(token.uri(object), {}),
        openAbsent: () => openKeyService(token.uri('nothing'), {}),
        secrets: [token.pin, token.pinFile],
      });
    });
  }

  test('an AES key makes slots of A256KW, which say where it is and nothing of the PIN', async () => {
    const slot = await made(token.uri('kek'));
    expect(slotAlgorithm(slot)).toBe('A256KW');
    expect(slot.header?.subject).toMatch(/^pkcs11:token=[^?]*;object=kek$/);
  });

  test('an EC key opens what is made for its public part without a PIN', async () => {
    const imageKey = Secret.random(32);
    const type = token.certificates['ec'] === undefined ? 'public' : 'cert';
    const uri = token.uri(`ec;type=${type}`, '/there/is/no/such/file');
    expect(await opens(token.uri('ec'), [await made(uri, imageKey)])).toEqual(Buffer.from(imageKey.bytes));
    await expect(opens(uri, [])).rejects.toThrow('opens nothing');
  });

  test('a wrong PIN is tried once, and no other after it', async () => {
    const wrong = join(token.directory, 'wrong-pin');
    writeFileSync(wrong, 'wrong', { mode: 0o600 });
    // In another process, as this one would never log in again.
    const program = `
      const { openKeyService } = await import(${JSON.stringify(join(import.meta.dirname, '../../../../src/keys/services/registry.ts'))});
      for (const uri of process.argv.slice(1)) {
        const provider = await openKeyService(uri, {});
        try { await provider.prepare(); console.log('opened'); }
        catch (error) { console.log(error.data.reason, error.message); }
        provider.wipe();
      }`;
    const uris = [token.uri('kek', wrong), token.uri('kek')];
    const said = execFileSync(
      process.execPath,
      ['--import', 'tsx', '--input-type=module', '-e', program, '--', ...uris],
      {
        encoding: 'utf8',
        cwd: join(import.meta.dirname, '../../../..'),
      },
    );
    expect(said.split('\n')).toEqual([
      expect.stringMatching(/^wrong-pin token .* refuses the PIN, which is not tried again$/),
      expect.stringMatching(/^wrong-pin token .* refused the PIN before, and no other is tried$/),
      '',
    ]);
  });
}

describeIf(['softHsm'], 'SoftHSM', () => {
  const token = softHsmToken();
  afterAll(() => token.remove());
  testKeys(token, ['kek', 'ec']);

  test('an RSA key is refused, because its OAEP takes SHA-1 only', async () => {
    expect(await failure(token.uri('rsa'))).toMatchObject({
      code: 'key-unavailable',
      reason: 'refused',
      message: expect.stringContaining('no RSA-OAEP with SHA-256, and nothing weaker is used'),
    });
  });

  test('several providers of a token share its login, and one that is wiped ends nothing of the others', async () => {
    const first = await openKeyService(token.uri('kek'), {});
    await first.prepare();
    const second = await openKeyService(token.uri('kek', '/there/is/no/such/file'), {});
    const slot = await second.wrap(Secret.random(32), imageId);
    second.wipe();
    expect((await first.unwrap([slot], imageId))?.slot).toBe(0);
    first.wipe();
    expect(await failure(token.uri('kek', '/there/is/no/such/file'))).toMatchObject({ reason: 'missing' });
  });

  test('a PIN may be in a variable, and a file of it that others read is told of', async () => {
    process.env['CKPTFS_TEST_PIN'] = token.pin;
    await using(token.uri('kek', 'env:CKPTFS_TEST_PIN'), async (provider) => {
      expect(process.env['CKPTFS_TEST_PIN']).toBeUndefined();
      await provider.prepare();
    });
    const open = join(token.directory, 'open-pin');
    copyFileSync(token.pinFile, open);
    chmodSync(open, 0o644);
    const warnings: KeyFileWarning[] = [];
    const provider = await openKeyService(token.uri('kek', open), { warn: (warning) => warnings.push(warning) });
    await provider.prepare();
    provider.wipe();
    expect(warnings.map(({ reason }) => reason)).toEqual(['mode']);
  });

  test('objects are told apart by id and type', async () => {
    const named = token.uri('kek').replace('object=kek', 'id=%01;type=secret-key');
    expect(await opens(token.uri('kek'), [await made(named)])).toBeDefined();
    expect(await failure(token.uri('kek').replace(';object=kek', ''))).toMatchObject({
      code: 'bad-argument',
      message: expect.stringContaining('type=secret-key;id=%01, type=private;id='),
    });
    expect(await failure(token.uri('kek;type=private'))).toMatchObject({ reason: 'absent' });
    expect(await failure(token.uri('kek;type=data'))).toMatchObject({ code: 'bad-argument' });
  });

  test('slots are those of a key file with the same key', async () => {
    const key = Secret.random(32);
    token.importAes('imported', key.bytes);
    const ofFile = symmetricKeyProvider(key, 'the key', {});
    const imageKey = Secret.random(32);
    const bytes = Buffer.from(imageKey.bytes);
    expect(await opens(token.uri('imported'), [await ofFile.wrap(imageKey, imageId)])).toEqual(bytes);
    const opened = await ofFile.unwrap([await made(token.uri('imported'), imageKey)], imageId);
    expect(Buffer.from(opened?.imageKey.bytes ?? [])).toEqual(bytes);
  });

  test('a token that is not there, not initialized, or not the only one', async () => {
    const other = token.uri('kek').replace('token=ckptfs%20test', 'token=other');
    expect(await failure(other)).toMatchObject({ code: 'key-unavailable', reason: 'unreachable' });
    expect(await failure(token.uri('kek').replace('token=ckptfs%20test', 'token='))).toMatchObject({
      reason: 'refused',
      message: expect.stringContaining('not initialized'),
    });
    execFileSync('softhsm2-util', ['--init-token', '--free', '--label', 'second', '--so-pin', '1234', '--pin', '1234']);
    expect(await failure(token.uri('kek').replace('token=ckptfs%20test', 'model=SoftHSM%20v2'))).toMatchObject({
      code: 'bad-argument',
      message: expect.stringMatching(/fits 2 tokens: .*"second" with serial=[0-9a-f]{16}/),
    });
  });

  test('a token that is removed while it is used', async () => {
    const moved = `${token.directory}/elsewhere`;
    await using(token.uri('kek'), async (provider) => {
      await provider.prepare();
      renameSync(join(token.directory, 'tokens'), moved);
      try {
        const error = await provider.wrap(Secret.random(32), imageId).catch((thrown: unknown) => thrown);
        expect(error).toMatchObject({ code: 'key-unavailable' });
      } finally {
        renameSync(moved, join(token.directory, 'tokens'));
      }
    });
  });

  test('a key of AES is destroyed when it opens a slot, and then gone', async () => {
    token.makeAes('doomed');
    const slots = [await made(token.uri('kek')), await made(token.uri('doomed'))];
    await using(token.uri('doomed'), async (provider) => {
      await expect(provider.destroyKeyOf?.(slots.slice(0, 1), imageId)).rejects.toThrow('not destroyed');
      expect(await provider.destroyKeyOf?.(slots, imageId)).toEqual([1]);
      await expect(provider.unwrap(slots, imageId)).rejects.toThrow('no such key');
    });
    await using(token.uri('doomed'), async (provider) => {
      expect(await provider.destroyKeyOf?.(slots, imageId)).toEqual([1]);
    });
    await using(token.uri('ec'), async (provider) => {
      await expect(provider.destroyKeyOf?.(slots, imageId)).rejects.toThrow('no key of AES');
    });
  });
});

describeIf(['nss'], 'the token of NSS', () => {
  const token = nssToken();
  afterAll(() => token.remove());
  testKeys(token, ['kek', 'rsa', 'ec']);

  test.each(['rsa', 'ec'])('the key %s opens what is made for its certificate', async (name) => {
    const imageKey = Secret.random(32);
    const recipient = recipientIn(readFileSync(token.certificates[name] ?? ''), name);
    const slot = await recipient.wrap(imageKey, imageId);
    expect(await opens(token.uri(name), [slot])).toEqual(Buffer.from(imageKey.bytes));
  });

  test('it says that a module is in use with another configuration', async () => {
    await using(token.uri('kek'), async (provider) => {
      await provider.prepare();
      expect(await failure(token.uri('kek').replace('secmod.db', 'other.db'))).toMatchObject({ code: 'bad-argument' });
    });
  });
});
