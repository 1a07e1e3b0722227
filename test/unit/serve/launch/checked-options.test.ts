import fs from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { HeldStore } from '../../../../src/serve/daemon/held-store.ts';
import { checkMount, checkOptions, type MountOptions } from '../../../../src/serve/launch/checked-options.ts';
import type { LeaseTerms } from '../../../../src/serve/leases/terms.ts';

const directory = fs.mkdtempSync(join(tmpdir(), 'ckptfs-options-'));
const location = join(directory, 'enc');
const mountPoint = join(directory, 'mnt');
for (const path of [location, mountPoint, join(location, 'inside')]) fs.mkdirSync(path);
fs.symlinkSync(location, join(directory, 'link'));
afterAll(() => fs.rmSync(directory, { recursive: true }));

const options: MountOptions = { location, mountPoint };
const lease: LeaseTerms = {
  seconds: 60,
  onUnreachable: 'keep',
  check: { options: {}, directory: '/', directoryMark: '', environment: {}, timeoutSeconds: 30, shared: true },
};
const remote = { url: 'oci://registry.example/web:1', socket: '/cache/socket', cache: '/cache' };
const code = (expected: string) => expect.objectContaining({ code: expected });

describe('refused before anything is started:', () => {
  test.each<[string, Partial<MountOptions>]>([
    ['no workers', { workers: 0 }],
    ['half a worker', { workers: 1.5 }],
    ['too many workers', { workers: 65 }],
    ['a tiny cache', { cacheSize: 100 }],
    ['a time for the key of a writable mount', { write: true, keyTtlSeconds: 60 }],
    ['a time for the key of a mount by fuse-native', { transport: 'fuse-native', keyTtlSeconds: 60 }],
    ['a lease that locks a writable mount', { write: true, lease: { ...lease, onRevoked: 'lock' } }],
    [
      'a lease that locks a mount by fuse-native',
      { transport: 'fuse-native', lease: { ...lease, onUnreachable: 'lock' } },
    ],
    ['a lease of no time', { lease: { ...lease, seconds: 0 } }],
    ['a mode that is too large', { rootMode: 0o10000 }],
    ['an image that its own mount hides', { mountPoint: location }],
    ['an image below its own mount', { mountPoint: directory }],
    ['an image that its own mount hides, under another name', { mountPoint: join(directory, 'link') }],
    ['a mount point within the image', { mountPoint: join(location, 'inside') }],
    ['an unknown mount option', { fuseOptions: ['no_such_thing'] }],
    ['allow_root with fuse-native', { transport: 'fuse-native', allowRoot: true }],
    ['direct reads with fuse-native', { transport: 'fuse-native', pageFiles: 'direct' }],
    ['both allow_other and allow_root', { allowOther: true, allowRoot: true }],
    ['both, as mount options', { fuseOptions: ['allow_other,allow_root'] }],
    ['both, one of them as a mount option', { allowOther: true, fuseOptions: ['allow_root'] }],
    ['writing with fuse-native', { write: true, transport: 'fuse-native' }],
    ['writing over io_uring', { write: true, transport: 'io-uring' }],
    ['writing with scratch space', { write: true, scratch: true }],
    ['two writers', { write: true, workers: 2 }],
    ['writing an image in a remote store', { write: true, remote }],
    ['an image in a remote store with fuse-native', { transport: 'fuse-native', remote }],
    ['writing with the mount option ro', { write: true, fuseOptions: ['allow_other,ro'] }],
  ])('%s', (_, wrong) => {
    expect(() => checkOptions({ ...options, ...wrong })).toThrow(code('bad-argument'));
  });

  test('another directory at the path of an ephemeral image, when it is held', () => {
    const made = { location, directory: '7:8', isNewDirectory: true };
    const root = { mode: 0o700, uid: 0, gid: 0 };
    const ephemeral = { imageId: '0'.repeat(32), cipher: 'aes-256-xts', chunkSize: 1 << 14, root, made } as const;
    const { config } = checkOptions({ ...options, write: true, ephemeral });
    expect(() => HeldStore.open(config)).toThrow(code('wrong-image'));
  });

  test('a directory that is not an image', () => {
    expect(() => checkOptions(options)).toThrow(code('not-an-image'));
    expect(() => checkOptions({ ...options, write: true })).toThrow(code('not-an-image'));
  });

  test('a mount for which no image should be made', async () => {
    const later = { ...options, location: join(directory, 'later'), write: true };
    await checkMount(later);
    await expect(checkMount({ ...later, workers: 2 })).rejects.toThrow(code('bad-argument'));
    await expect(checkMount({ ...later, mountPoint: join(directory, 'none') })).rejects.toThrow(code('mount-failed'));
    expect(fs.existsSync(join(directory, 'later'))).toBe(false);
  });
});

test('an image in a remote store is served by more threads than there are cores where those are few', () => {
  const sealed = fileURLToPath(new URL('../../../images/v1/chacha20-poly1305/image', import.meta.url));
  const workersOf = (more: Partial<MountOptions>) =>
    checkOptions({ ...options, location: sealed, ...more }).config.workers;
  expect(workersOf({})).toBe(Math.min(8, availableParallelism()));
  expect(workersOf({ remote })).toBe(Math.max(4, Math.min(8, availableParallelism())));
  expect(workersOf({ remote, workers: 1 })).toBe(1);
});
