import { randomBytes } from 'node:crypto';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Deadline } from '../../../../src/base/deadline.ts';
import { CkptfsError } from '../../../../src/base/errors.ts';
import { Secret } from '../../../../src/crypto/secret.ts';
import { dropFromKeyring, leasedKeyName, readNamedKey, storeInKeyring } from '../../../../src/keys/keyring.ts';
import type { UnwrappedKey } from '../../../../src/keys/provider.ts';
import { AskingLock, readHostAnswers } from '../../../../src/serve/leases/host-answers.ts';
import { dropSharedKeys, type Question, SharedKey } from '../../../../src/serve/leases/shared-key.ts';
import { ownStateDirectory } from '../../../../src/serve/mounts/state-directory.ts';

// Keyring and state directory are those of the user on the whole machine, so each test has a name of its own.
let name: string;
let key: Secret;
let opened: number;

beforeEach(() => {
  name = randomBytes(16).toString('hex');
  key = Secret.random(32);
  opened = 0;
});
afterEach(() => {
  dropFromKeyring(leasedKeyName(name));
  rmSync(join(ownStateDirectory(), 'leases', name), { force: true, recursive: true });
});

const markOf = (imageKey: Secret): string => Buffer.from(imageKey.bytes).toString('hex');

function question(changes: Partial<Question> = {}): Question {
  return {
    seconds: 60,
    isRight: (found) => Buffer.from(found.bytes).equals(Buffer.from(key.bytes)),
    markOf,
    open: async () => {
      opened++;
      return { imageKey: Secret.copy(key.bytes), slot: 2, source: 'kms', leaseSeconds: 30 };
    },
    deadline: Deadline.after(30_000),
    ...changes,
  };
}

const fetched = (changes?: Partial<Question>): Promise<UnwrappedKey> => new SharedKey(name).fetch(question(changes));
const denied = new CkptfsError('key-unavailable', 'denied', { data: { reason: 'denied' } });
const lost = new CkptfsError('key-unavailable', 'no connection', { data: { reason: 'unreachable' } });
const refusing = (error: CkptfsError) => ({ open: () => Promise.reject(error) });

test('of many that want it at once one asks, and the others get the key and what is said of it', async () => {
  const open = async () => {
    await new Promise((resolve) => setTimeout(resolve, 200));
    return question().open();
  };
  const all = await Promise.all(Array.from({ length: 200 }, () => fetched({ open })));
  expect(opened).toBe(1);
  expect(all.filter(({ isShared }) => isShared === true).length).toBe(199);
  for (const one of all) {
    expect(one).toMatchObject({ slot: 2, source: 'kms', leaseSeconds: 30, fetchedAt: all[0]?.fetchedAt });
    expect(question().isRight(one.imageKey)).toBe(true);
  }
});

test('a key that is older than the lease, or not that of the image, is fetched anew', async () => {
  await fetched();
  await fetched();
  expect(opened).toBe(1);
  await fetched({ seconds: 1e-9 });
  expect(opened).toBe(2);
  storeInKeyring(leasedKeyName(name), Secret.random(32), 60);
  await fetched();
  expect(opened).toBe(3);
  storeInKeyring(leasedKeyName(name), Secret.random(16), 60);
  await fetched();
  expect(opened).toBe(4);
});

test('a key that is not that of the image is not shared', async () => {
  await fetched({ isRight: () => false });
  expect(readNamedKey(leasedKeyName(name))).toBeUndefined();
});

test('a revocation drops the key at once, and a failure keeps it', async () => {
  await fetched();
  const later = async (error: CkptfsError) => {
    const after = readHostAnswers(name)?.last.at ?? 0;
    await expect(new SharedKey(name).ask(question(refusing(error)), after, markOf(key))).rejects.toBe(error);
  };
  await later(lost);
  expect(readHostAnswers(name)).toMatchObject({ last: { verdict: 'unreachable' }, fetched: { slot: 2 } });
  expect((await fetched()).isShared).toBe(true);
  await later(denied);
  expect(readNamedKey(leasedKeyName(name))).toBeUndefined();
  expect(readHostAnswers(name)).toMatchObject({ last: { verdict: 'revoked', error: { data: { reason: 'denied' } } } });
  expect(readHostAnswers(name)?.fetched).toBeUndefined();
  await expect(fetched(refusing(denied))).rejects.toBe(denied);
  expect((await fetched()).isShared).toBeUndefined();
});

test('an answer to a later question takes the place of asking', async () => {
  await fetched();
  const at = readHostAnswers(name)?.last.at ?? 0;
  expect(await new SharedKey(name).ask(question(), at - 1, markOf(key))).toMatchObject({
    last: { verdict: 'allowed', at },
  });
  expect(opened).toBe(1);
  expect(await new SharedKey(name).ask(question(), at, markOf(key))).toMatchObject({ source: 'kms' });
  expect(opened).toBe(2);
  // What was heard of another key, to which a forged header leads, is nothing for this one.
  expect(await new SharedKey(name).ask(question(), at - 1, 'another')).toMatchObject({ source: 'kms' });
  expect(opened).toBe(3);
});

test('one that asks again asks for itself where another never ends, and where no file can be shared', async () => {
  const ask = () => new SharedKey(name).ask(question({ deadline: Deadline.after(120) }), 0, markOf(key));
  const lock = AskingLock.tryTake(name);
  expect(await ask()).toMatchObject({ source: 'kms' });
  lock?.release();
  const file = join(ownStateDirectory(), 'leases', name);
  rmSync(file);
  mkdirSync(file);
  expect(await ask()).toMatchObject({ source: 'kms' });
  expect(await fetched()).toMatchObject({ source: 'kms' });
  expect([opened, readNamedKey(leasedKeyName(name))]).toEqual([3, undefined]);
});

test('one that waits in vain for another says so, and the end of the other lets it ask', async () => {
  const lock = AskingLock.tryTake(name);
  await expect(fetched({ deadline: Deadline.after(120) })).rejects.toThrow('another process of this host asks');
  const waiting = fetched();
  lock?.release();
  expect((await waiting).isShared).toBeUndefined();
});

test.each([
  ['nothing', ''],
  ['a cut file', '{"boot":"'],
  ['another boot', JSON.stringify({ boot: 'x', last: { verdict: 'allowed', at: 1 } })],
])('%s counts for nothing', async (_what, text) => {
  await fetched();
  const lock = AskingLock.tryTake(name);
  writeFileSync(join(ownStateDirectory(), 'leases', name), text);
  expect([lock?.read(), readHostAnswers(name)]).toEqual([undefined, undefined]);
  lock?.release();
});

test('what is of the future counts for nothing', () => {
  const lock = AskingLock.tryTake(name);
  lock?.write({ last: { verdict: 'allowed', at: 1e12 } });
  expect(readHostAnswers(name)).toBeUndefined();
  lock?.write({ last: { verdict: 'allowed', at: 1 }, fetched: { at: 1e12, seconds: 1, source: 'kms' } });
  expect(readHostAnswers(name)).toBeUndefined();
  lock?.write({ last: { verdict: 'allowed', at: 1 } });
  expect(readHostAnswers(name)).toEqual(expect.objectContaining({ last: { verdict: 'allowed', at: 1 } }));
  lock?.release();
});

test('all keys of an image that are shared can be dropped at once', async () => {
  const [imageId, other] = [randomBytes(16).toString('hex'), name];
  await fetched();
  for (const hash of ['1', '2']) {
    name = `${imageId}-${hash.repeat(32)}`;
    await fetched();
  }
  expect([dropSharedKeys(imageId), dropSharedKeys(imageId)]).toEqual([true, false]);
  for (const hash of ['1', '2']) rmSync(join(ownStateDirectory(), 'leases', `${imageId}-${hash.repeat(32)}`));
  name = other;
  expect((await fetched()).isShared).toBe(true);
});
