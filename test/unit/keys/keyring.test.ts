import { execFileSync, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { afterEach, describe, expect, test, vi } from 'vitest';
import type { CkptfsError } from '../../../src/base/errors.ts';
import { Secret } from '../../../src/crypto/secret.ts';
import {
  dropFromKeyring,
  imageKeyName,
  readFromKeyring,
  readImageKey,
  storeInKeyring,
} from '../../../src/keys/keyring.ts';

// The keyring is that of the user on the whole machine, where these tests may run twice at a time.
const imageId = randomBytes(16);
const name = imageKeyName(imageId);
const secret = Secret.random(32);

function keyctl(...args: string[]): string {
  return execFileSync('keyctl', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim();
}

function refusal(work: () => unknown): CkptfsError {
  try {
    work();
  } catch (error) {
    return error as CkptfsError;
  }
  throw new Error('it was not refused');
}

const read = () => {
  const into = Buffer.alloc(100);
  return into.subarray(0, readFromKeyring(name, into));
};

afterEach(() => {
  dropFromKeyring(name);
  keyctl('purge', 'user', name);
});

test('the name has the id of the image', () => {
  expect(name).toBe(`ckptfs:${imageId.toString('hex')}`);
});

describe('a key that the kernel holds for a time', () => {
  test('is read again, byte by byte', () => {
    expect(readImageKey(imageId)).toBeUndefined();
    storeInKeyring(name, secret, 60);
    expect(Buffer.from(readImageKey(imageId)?.bytes ?? [])).toEqual(Buffer.from(secret.bytes));
    expect(read()).toEqual(Buffer.from(secret.bytes));
  });

  test('is found by every session of the user, with its timeout, and shown to no other user', () => {
    storeInKeyring(name, secret, 600);
    const serial = keyctl('search', '@u', 'user', name);
    expect(keyctl('session', '-', 'keyctl', 'pipe', `%user:${name}`).length).toBeGreaterThan(0);
    expect(keyctl('rdescribe', serial)).toMatch(/^user;0;0;0b0b0000;/);
    const [line] = execFileSync('grep', [name, '/proc/keys'], { encoding: 'utf8' }).split('\n');
    expect(line).toMatch(/ (?:9m|10m|5\d\ds|600s) 0b0b0000 +0 +0 user /);
    const asOther = ['--reuid=65534', '--regid=65534', '--clear-groups', 'keyctl', 'session', '-', 'keyctl'];
    for (const operation of ['print', 'rdescribe', 'invalidate']) {
      const { status, stderr } = spawnSync('setpriv', [...asOther, operation, serial], { encoding: 'utf8' });
      expect([operation, status, stderr]).toEqual([operation, 1, expect.stringContaining('Permission denied')]);
    }
  });

  test('is replaced by another, and dropped', () => {
    storeInKeyring(name, Secret.copy(Buffer.alloc(32, 1)), 60);
    storeInKeyring(name, secret, 60);
    expect(read()).toEqual(Buffer.from(secret.bytes));
    expect(dropFromKeyring(name)).toBe(true);
    expect(dropFromKeyring(name)).toBe(false);
    // The kernel takes a dropped key out of the keyring in the background.
    expect(refusal(read).data).toEqual({ reason: expect.stringMatching(/^(absent|revoked)$/) });
  });

  test('expires, and may then be put there again', async () => {
    storeInKeyring(name, secret, 1);
    const gone = await vi.waitFor(() => refusal(read), { timeout: 60_000 });
    expect([gone.code, gone.data]).toEqual(['bad-key-file', { reason: 'expired' }]);
    expect(gone.message).toBe(`keyring:${name}: the key has expired`);
    expect(readImageKey(imageId)).toBeUndefined();
    expect(dropFromKeyring(name)).toBe(false);
    storeInKeyring(name, secret, 60);
    expect(read()).toEqual(Buffer.from(secret.bytes));
  });

  test('may be revoked', () => {
    const serial = keyctl('add', 'user', name, 'x', '@u');
    keyctl('revoke', serial);
    const revoked = refusal(read);
    expect([revoked.code, revoked.data]).toEqual(['bad-key-file', { reason: 'revoked' }]);
    expect(readImageKey(imageId)).toBeUndefined();
    storeInKeyring(name, secret, 60);
    expect(read()).toEqual(Buffer.from(secret.bytes));
  });

  test('of another size is no key of an image', () => {
    for (const text of ['x', 'x'.repeat(31), 'x'.repeat(33), 'x'.repeat(1000)]) {
      keyctl('add', 'user', name, text, '@u');
      expect(refusal(() => readImageKey(imageId)).data).toEqual({ reason: 'not-a-key' });
    }
  });

  test('is found in the session too', () => {
    keyctl('add', 'user', name, 'of the session', '@us');
    expect(read().toString()).toBe('of the session');
    keyctl('unlink', keyctl('search', '@us', 'user', name), '@us');
  });

  test.each([0, -1, 1.5, 2 ** 31, Number.NaN])('is not kept for %d seconds', (seconds) => {
    expect(refusal(() => storeInKeyring(name, secret, seconds)).code).toBe('bad-argument');
  });

  test('names of any characters are shown without acting on a terminal', () => {
    expect(refusal(() => readFromKeyring('a\x1b[2Jb', Buffer.alloc(1))).message).toContain('keyring:a\\x1b[2Jb');
  });
});
