import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import type { CkptfsError } from '../../../../src/base/errors.ts';
import { Secret } from '../../../../src/crypto/secret.ts';
import type { Slot } from '../../../../src/format/slot.ts';
import { unwrapImageKey } from '../../../../src/keys/provider.ts';
import { IterationBudget } from '../../../../src/keys/slots/pbes2.ts';
import { openKeySource } from '../../../../src/keys/sources/registry.ts';
import { sourceProvider } from '../../../../src/keys/sources/source-provider.ts';

const directory = mkdtempSync(join(tmpdir(), 'ckptfs-providers-'));
afterAll(() => rmSync(directory, { recursive: true }));

const imageId = Buffer.alloc(16, 3);
const imageKey = Secret.random(32);
const key = 'a1'.repeat(32);

function file(name: string, text: string): string {
  writeFileSync(join(directory, name), text, { mode: 0o600 });
  return join(directory, name);
}

/** @param label of the slots that it makes */
async function provider(uri: string, label?: string) {
  const source = await openKeySource(uri);
  return sourceProvider(source, label === undefined ? {} : { description: { label } });
}

async function opens(slots: readonly Slot[], uri: string): Promise<boolean> {
  const opened = await (await provider(uri)).unwrap(slots, imageId);
  if (opened !== undefined) expect(Buffer.from(opened.imageKey.bytes)).toEqual(Buffer.from(imageKey.bytes));
  return opened !== undefined;
}

async function refusal(work: Promise<unknown>): Promise<CkptfsError> {
  return work.then(
    () => {
      throw new Error('it was not refused');
    },
    (error: CkptfsError) => error,
  );
}

describe('a key from any source', () => {
  test('makes a slot, and opens it', async () => {
    process.env['CKPTFS_TEST_PROVIDED'] = key;
    const made = await provider('env:CKPTFS_TEST_PROVIDED', 'mine');
    const slot = await made.wrap(imageKey, imageId);
    expect(slot.header).toEqual({ label: 'mine' });
    // The variable is gone, and the key is still there.
    expect(await made.unwrap([slot], imageId)).toMatchObject({ slot: 0 });
    expect(await opens([slot], `cmd:echo ${key}`)).toBe(true);
    expect(await opens([slot], `cmd:echo ${'b2'.repeat(32)}`)).toBe(false);
  });

  test('is not read before it is needed, and can be wiped then too', async () => {
    const absent = await provider('file:/absent/key');
    absent.wipe();
    expect((await refusal(absent.unwrap([], imageId))).code).toBe('bad-key-file');
  });

  test('which does not fit is named', async () => {
    const slot = await (await provider(`cmd:echo ${key}`)).wrap(imageKey, imageId);
    const other = file('other', '00'.repeat(16));
    const error = await refusal(unwrapImageKey([slot], imageId, [await provider(`file:${other}`)]));
    expect(error.code).toBe('wrong-key');
    expect(error.message).toContain(`key file ${other}`);
  });
});

describe('a passphrase from any source', () => {
  test('opens the slot of its passphrase, among others', async () => {
    const [first, second] = [file('first', 'one\n'), file('second', 'two words\nand more\n')];
    const slots = [
      await (await provider(`cmd:echo ${key}`)).wrap(imageKey, imageId),
      await (await provider(`passphrase:${first}`, 'ann')).wrap(imageKey, imageId),
      await (await provider(`passphrase:${second}`)).wrap(imageKey, imageId),
    ];
    const opened = await (await provider('passphrase:cmd:printf "two words"')).unwrap(slots, imageId);
    expect(opened?.slot).toBe(2);
    const error = await refusal((await provider('passphrase:cmd:echo three')).unwrap(slots, imageId));
    expect(error.code).toBe('wrong-key');
    expect(error.message).toBe('passphrase:cmd:echo three does not open slots 2 ("ann"), 3 of this image');
  });

  test('that does not fit does not stop the keys after it', async () => {
    const right = await provider('passphrase:cmd:echo right');
    const slot = await right.wrap(imageKey, imageId);
    const opened = await unwrapImageKey([slot], imageId, [await provider('passphrase:cmd:echo wrong'), right]);
    expect(opened).toMatchObject({ slot: 0, source: 'passphrase:cmd:echo right' });
  });

  test('is not asked for where no slot is for one', async () => {
    const slot = await (await provider(`cmd:echo ${key}`)).wrap(imageKey, imageId);
    expect(await (await provider('passphrase:/absent')).unwrap([slot], imageId)).toBeUndefined();
  });

  test('is not tried on more slots than one image may cost', async () => {
    const slot = await (await provider('passphrase:cmd:echo right')).wrap(imageKey, imageId);
    const source = await openKeySource('passphrase:cmd:echo wrong');
    const budget = new IterationBudget();
    budget.spend(imageId, 4_000_000);
    budget.spend(imageId, 3_400_000);
    const error = await refusal(sourceProvider(source, { budget }).unwrap([slot, slot], imageId));
    expect(error.message).toBe(
      'passphrase:cmd:echo wrong does not open slot 1 of this image, and was not tried on slot 2, which would be too many iterations for one image',
    );
  });
});

describe('the text of a passphrase', () => {
  const read = async (uri: string) => {
    const secret = await (await openKeySource(uri)).read();
    return Buffer.from(secret.bytes).toString('latin1');
  };

  test.each([
    ['one line', 'x', 'x'],
    ['a line feed', 'x\n', 'x'],
    ['the line feed of another system, half of which counts', 'x\r\n', 'x\r'],
    ['spaces, which count', ' x \ny\n', ' x '],
    ['the longest', 'x'.repeat(1024), 'x'.repeat(1024)],
  ])('%s', async (_what, text, passphrase) => {
    expect(await read(`passphrase:${file('text', text)}`)).toBe(passphrase);
    expect(await read(`passphrase:cmd:cat ${join(directory, 'text')}`)).toBe(passphrase);
  });

  test.each([
    ['none', '', 'it is empty', 'not-a-passphrase'],
    ['none in the first line', '\nx', 'it is empty', 'not-a-passphrase'],
    ['1026 bytes', 'SECRET'.repeat(171), 'it is longer', 'not-a-passphrase'],
    ['4800 bytes', 'SECRET'.repeat(800), 'than 4096', 'too-large'],
  ])('that is refused: %s', async (_what, text, said, reason) => {
    const path = file('text', text);
    const inFile = await refusal(read(`passphrase:${path}`));
    expect([inFile.code, inFile.data]).toEqual(['bad-key-file', { reason }]);
    expect(inFile.message).toContain(said);
    const ofCommand = await refusal(read(`passphrase:cmd:cat ${path}`));
    expect([ofCommand.code, ofCommand.data]).toEqual(['key-unavailable', { reason: 'garbage' }]);
    expect(ofCommand.message).toContain(said);
    expect(inFile.message + ofCommand.message).not.toContain('SECRET');
  });

  test('whose file is absent', async () => {
    const error = await refusal(read('passphrase:/absent/p'));
    expect(error.data).toEqual({ reason: 'missing' });
    expect(error.message).toBe('cannot read passphrase file /absent/p: no such file or directory');
  });
});
