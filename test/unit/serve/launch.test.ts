import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { socketPair } from '../../../src/base/linux/sockets.ts';
import type { DaemonConfig } from '../../../src/serve/handover/config.ts';
import { checkMount, daemonConfig, type MountOptions } from '../../../src/serve/launch/daemon-config.ts';
import { daemonEnvironment, sendConfig } from '../../../src/serve/launch/launch.ts';
import { findLog, openLog } from '../../../src/serve/mounts/log-file.ts';

const directory = fs.mkdtempSync(join(tmpdir(), 'ckptfs-launch-'));
const location = join(directory, 'enc');
const mountPoint = join(directory, 'mnt');
for (const path of [location, mountPoint, join(location, 'inside')]) fs.mkdirSync(path);
fs.symlinkSync(location, join(directory, 'link'));
afterAll(() => fs.rmSync(directory, { recursive: true }));

const options: MountOptions = { location, mountPoint };
const code = (expected: string) => expect.objectContaining({ code: expected });

describe('refused before anything is started', () => {
  test.each<[string, Partial<MountOptions>]>([
    ['no workers', { workers: 0 }],
    ['half a worker', { workers: 1.5 }],
    ['too many workers', { workers: 65 }],
    ['hardly any cache', { cacheSize: 100 }],
    ['an image behind its own mount', { mountPoint: location }],
    ['an image below its own mount', { mountPoint: directory }],
    ['an image behind its own mount, by another name', { mountPoint: join(directory, 'link') }],
    ['a mount point within the image', { mountPoint: join(location, 'inside') }],
    ['an unknown mount option', { fuseOptions: ['no_such_thing'] }],
    ['root let in by fuse-native', { transport: 'fuse-native', allowRoot: true }],
    ['others and root let in', { allowOther: true, allowRoot: true }],
    ['others and root let in by mount options', { fuseOptions: ['allow_other,allow_root'] }],
    ['others let in by an option, root by a mount option', { allowOther: true, fuseOptions: ['allow_root'] }],
    ['writing by fuse-native', { write: true, transport: 'fuse-native' }],
    ['writing with scratch space', { write: true, scratch: true }],
    ['two writers', { write: true, workers: 2 }],
    ['writing where nothing may be', { write: true, fuseOptions: ['allow_other,ro'] }],
  ])('%s', (_, wrong) => {
    expect(() => daemonConfig({ ...options, ...wrong })).toThrow(code('bad-argument'));
  });

  test('a directory that is no image', () => {
    expect(() => daemonConfig(options)).toThrow(code('not-an-image'));
    expect(() => daemonConfig({ ...options, write: true })).toThrow(code('not-an-image'));
  });

  test('a mount for which an image is yet to be made', async () => {
    const later = { ...options, location: join(directory, 'later'), write: true };
    await checkMount(later);
    await expect(checkMount({ ...later, workers: 2 })).rejects.toThrow(code('bad-argument'));
    await expect(checkMount({ ...later, mountPoint: join(directory, 'none') })).rejects.toThrow(code('mount-failed'));
    expect(fs.existsSync(join(directory, 'later'))).toBe(false);
  });

  test('a configuration longer than any command line', () => {
    const long = { location: 'x'.repeat(70_000) } as DaemonConfig;
    expect(() => sendConfig(-1, long)).toThrow(code('bad-argument'));
  });
});

test('a daemon is told its configuration behind the length of it', () => {
  const config = { location, mountPoint } as DaemonConfig;
  const [ours, theirs] = socketPair();
  sendConfig(ours, config);
  fs.closeSync(ours);
  const bytes = fs.readFileSync(theirs);
  fs.closeSync(theirs);
  expect(bytes.readUInt32LE()).toBe(bytes.length - 4);
  expect(JSON.parse(bytes.subarray(4).toString())).toEqual(config);
});

test('a daemon that is gone is nothing to fail for: it says why itself', () => {
  const [ours, theirs] = socketPair();
  fs.closeSync(theirs);
  sendConfig(ours, { location, mountPoint } as DaemonConfig);
  fs.closeSync(ours);
});

test('a log is a file of this user, or a device; nothing that another one could read from or lead astray', () => {
  const path = (name: string): string => join(directory, name);
  spawnSync('mkfifo', [path('fifo')]);
  fs.symlinkSync(path('anything'), path('led astray'));
  fs.writeFileSync(path('theirs'), '', { mode: 0o666 });
  fs.chownSync(path('theirs'), 65534, 65534);
  for (const name of ['fifo', 'led astray', 'theirs', 'enc']) {
    expect(() => findLog('00'.repeat(16), path(name)), name).toThrow(code('io'));
    expect(() => openLog(path(name)), name).toThrow(code('io'));
  }
  for (const name of [path('new'), path('new'), '/dev/null']) {
    expect(findLog('00'.repeat(16), name)).toBe(name);
    fs.closeSync(openLog(name));
  }
  expect(fs.statSync(path('new')).mode & 0o777).toBe(0o600);
  expect(fs.existsSync(path('anything'))).toBe(false);
});

test('a daemon inherits little of the environment', () => {
  process.env['CKPTFS_TEST_PASSWORD'] = 'canary';
  process.env['NODE_OPTIONS'] ??= '';
  expect(JSON.stringify(daemonEnvironment())).not.toContain('canary');
  expect(Object.keys(daemonEnvironment())).not.toContain('NODE_OPTIONS');
  expect(daemonEnvironment()['PATH']).toBe(process.env['PATH']);
  delete process.env['CKPTFS_TEST_PASSWORD'];
});
