import { closeSync, cpSync, fstatSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, expect, test } from 'vitest';
import { CkptfsError } from '../../../../src/base/errors.ts';
import { Secret } from '../../../../src/crypto/secret.ts';
import { readKeyFile } from '../../../../src/keys/key-file.ts';
import { symmetricKeyProvider } from '../../../../src/keys/symmetric-key.ts';
import { inspectImage } from '../../../../src/library/encrypted-image.ts';
import { unlockImage } from '../../../../src/library/unlock.ts';
import { MountKeys } from '../../../../src/serve/daemon/mount-keys.ts';
import { KeyLock } from '../../../../src/serve/thread/key-lock.ts';
import { openStore } from '../../../../src/stores/open-store.ts';
import type { Store } from '../../../../src/stores/store.ts';
import { frozenRoot, keyFile } from '../../../support/frozen-images.ts';

const directory = mkdtempSync(join(tmpdir(), 'ckptfs-mount-keys-'));
const image = join(directory, 'enc');
cpSync(join(frozenRoot, 'aes-256-xts', 'image'), image, { recursive: true });
afterAll(() => rmSync(directory, { recursive: true }));

const INODES = 7;
/** Bytes of the message to the kernel that drops the pages of one node. */
const MESSAGE = 40;
let fd: number;
let imageKey: Secret;
let held: Secret;
let store: Store;

beforeEach(async () => {
  rmSync(join(directory, 'device'), { force: true });
  store = openStore(image);
  fd = openSync(join(directory, 'device'), 'a');
  imageKey = await unlockImage(image, { keys: [symmetricKeyProvider(readKeyFile(keyFile()).key)] });
  held = Secret.copy(imageKey.bytes);
});
afterEach(() => {
  closeSync(fd);
  store.close();
  imageKey.wipe();
  held.wipe();
});

/** Makes the keys of a mount whose threads wipe as `lock` says. */
function mountKeys(lock: () => Promise<void>): MountKeys {
  const { place } = store;
  const { imageId } = inspectImage(image);
  const never = new Promise<never>(() => undefined);
  const threads = {
    ...{ stopped: never, ended: never, isSealing: false, count: 1, lock },
    ...{ open: () => never, serve: () => undefined, initialized: () => never, end: () => undefined },
    counters: () => {
      throw new Error('nothing is counted');
    },
  };
  const opened = { imageId, root: { mode: 0o755, uid: 0, gid: 0 }, manifestDigest: undefined, inodes: INODES };
  return new MountKeys({
    ...{ place, threads, fd, imageKey: held },
    image: opened as ConstructorParameters<typeof MountKeys>[0]['image'],
    keyLock: new SharedArrayBuffer(KeyLock.byteLength),
  });
}

const pagesDropped = () => fstatSync(fd).size / MESSAGE;

test('a mount that is not locked accepts no other key, and does not count as unlocked anew', async () => {
  const keys = mountKeys(async () => undefined);
  await expect(keys.unlock(Secret.zeros(32))).rejects.toMatchObject({ code: 'damaged' });
  expect(await keys.unlock(imageKey)).toBe(false);
  await keys.lock();
  expect(keys.isLocked).toBe(true);
  expect(held.bytes.every((byte) => byte === 0)).toBe(true);
  await expect(keys.unlock(Secret.zeros(32))).rejects.toMatchObject({ code: 'damaged' });
  expect(await keys.unlock(imageKey)).toBe(true);
  expect(keys.isLocked).toBe(false);
  expect(pagesDropped()).toBe(INODES);
});

test('pages are dropped while a thread is stuck, and again when it has wiped', async () => {
  let isStuck = true;
  let hasWiped: () => void = () => undefined;
  const wiped = new Promise<void>((resolve) => {
    hasWiped = resolve;
  });
  const keys = mountKeys(async () => {
    if (isStuck) throw new CkptfsError('no-answer', 'stuck', { data: { reason: 'daemon-slow' } });
    hasWiped();
  });
  await expect(keys.lock()).rejects.toMatchObject({ code: 'no-answer', message: 'stuck' });
  expect(keys.isLocked).toBe(true);
  expect(held.bytes.every((byte) => byte === 0)).toBe(true);
  expect(pagesDropped()).toBe(INODES);
  isStuck = false;
  await wiped;
  expect(await keys.unlock(imageKey)).toBe(true);
  expect(pagesDropped()).toBe(2 * INODES);
});
