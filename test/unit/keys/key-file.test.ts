import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { CkptfsError } from '../../../src/base/errors.ts';
import { createDefaultKey, defaultKeyPath } from '../../../src/keys/default-key.ts';
import { readKeyFile } from '../../../src/keys/key-file.ts';
import { createKeyFile } from '../../../src/keys/keygen.ts';

const directory = mkdtempSync(join(tmpdir(), 'ckptfs-keys-'));
afterAll(() => rmSync(directory, { recursive: true }));

const path = (name: string) => join(directory, name);

function fails(action: () => unknown): CkptfsError {
  try {
    action();
  } catch (error) {
    if (error instanceof CkptfsError) return error;
  }
  throw new Error('no CkptfsError was thrown');
}

describe('readKeyFile', () => {
  test.each([16, 24, 32])('reads what `openssl rand -hex %i` wrote', (length) => {
    const text = execFileSync('openssl', ['rand', '-hex', String(length)], { encoding: 'latin1' });
    writeFileSync(path('openssl'), text, { mode: 0o600 });
    const { key, warning } = readKeyFile(path('openssl'));
    expect(Buffer.from(key.bytes).toString('hex')).toBe(text.trim());
    expect(warning).toBeUndefined();
  });

  test.each([
    [0o600, undefined],
    [0o400, undefined],
    [0o640, 'can be read by other users'],
    [0o604, 'can be read by other users'],
    [0o644, 'can be read by other users'],
    [0o620, 'can be changed by other users'],
    [0o602, 'can be changed by other users'],
    [0o666, 'can be read and changed by other users'],
  ])('with mode %o warns: %s', (mode, expected) => {
    writeFileSync(path('mode'), '00'.repeat(16));
    chmodSync(path('mode'), mode);
    const { warning } = readKeyFile(path('mode'));
    expect(warning).toEqual(
      expected && { reason: 'mode', message: `key file ${path('mode')} ${expected}`, path: path('mode') },
    );
  });

  test('warns of a file of another user', () => {
    writeFileSync(path('theirs'), '00'.repeat(16), { mode: 0o600 });
    chownSync(path('theirs'), 65534, 65534);
    expect(readKeyFile(path('theirs')).warning).toEqual({
      reason: 'other-owner',
      message: `key file ${path('theirs')} belongs to another user`,
      path: path('theirs'),
    });
  });

  test('reads a pipe, in whatever pieces it comes', async () => {
    execFileSync('mkfifo', [path('fifo')]);
    const script = `exec > '${path('fifo')}'; printf ${'ab'.repeat(10)}; sleep 0.1; printf '${'ab'.repeat(22)}\n'`;
    const writer = spawn('sh', ['-c', script]);
    const { key, warning } = readKeyFile(path('fifo'));
    expect(Buffer.from(key.bytes)).toEqual(Buffer.alloc(32, 0xab));
    expect(warning).toBeUndefined();
    await once(writer, 'exit');
  });

  test('allows 4096 bytes and no more', () => {
    writeFileSync(path('large'), '00'.repeat(16).padEnd(4096), { mode: 0o600 });
    expect(readKeyFile(path('large')).key.length).toBe(16);
    writeFileSync(path('large'), '00'.repeat(16).padEnd(4097), { mode: 0o600 });
    const error = fails(() => readKeyFile(path('large')));
    expect(error.code).toBe('bad-key-file');
    expect(error.message).toContain('larger than 4096 bytes');
  });

  test('reads no more than it must of an endless file', () => {
    expect(fails(() => readKeyFile('/dev/zero')).message).toContain('larger than 4096 bytes');
  });

  test('a missing file, a directory and an unusable path are bad key files', () => {
    mkdirSync(path('dir'));
    writeFileSync(path('file'), '');
    for (const [name, said] of [
      ['missing', 'no such file or directory'],
      ['dir', 'is a directory'],
      ['file/below', 'not a directory'],
    ] as const) {
      const error = fails(() => readKeyFile(path(name)));
      expect(error.code).toBe('bad-key-file');
      expect(error.message).toBe(`cannot read key file ${path(name)}: ${said}`);
      expect(error.path).toBe(path(name));
    }
    expect(fails(() => readKeyFile(path('missing'))).data).toEqual({ reason: 'missing' });
    expect(fails(() => readKeyFile(path('dir'))).data).toEqual({ reason: 'unreadable' });
  });
});

describe('createKeyFile', () => {
  test.each([128, 192, 256] as const)('makes a private file of %i bits', (bits) => {
    createKeyFile(path(`made-${bits}`), bits);
    expect(statSync(path(`made-${bits}`)).mode & 0o7777).toBe(0o600);
    expect(readFileSync(path(`made-${bits}`), 'latin1')).toMatch(new RegExp(`^[0-9a-f]{${bits / 4}}\n$`));
    expect(readKeyFile(path(`made-${bits}`)).warning).toBeUndefined();
  });

  test('never overwrites', () => {
    writeFileSync(path('precious'), 'data');
    const error = fails(() => createKeyFile(path('precious')));
    expect(error.code).toBe('exists');
    expect(readFileSync(path('precious'), 'latin1')).toBe('data');
  });

  test('says where it cannot write', () => {
    const error = fails(() => createKeyFile(path('nowhere/key')));
    expect(error.code).toBe('io');
    expect(error.message).toContain(path('nowhere/key'));
  });

  test('leaves nothing half written', () => {
    // A file system full from the first byte on.
    const full = path('full');
    mkdirSync(full);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4k', 'tmpfs', full]);
    try {
      writeFileSync(join(full, 'filler'), Buffer.alloc(4096));
      expect(fails(() => createKeyFile(join(full, 'key'))).message).toContain('no space left');
      expect(readdirSync(full)).toEqual(['filler']);
    } finally {
      execFileSync('umount', [full]);
    }
  });
});

describe('the default key', () => {
  const imageId = Buffer.from('00112233445566778899aabbccddeeff', 'hex');

  test('lives in the configuration folder, named by image id', () => {
    const name = 'ckptfs/keys/00112233445566778899aabbccddeeff.key';
    expect(defaultKeyPath(imageId, { XDG_CONFIG_HOME: '/c' })).toBe(`/c/${name}`);
    expect(defaultKeyPath(imageId, {})).toBe(join(homedir(), '.config', name));
    expect(defaultKeyPath(imageId, { XDG_CONFIG_HOME: '' })).toBe(join(homedir(), '.config', name));
    expect(defaultKeyPath(imageId, { XDG_CONFIG_HOME: 'relative' })).toBe(join(homedir(), '.config', name));
  });

  test('is made with its private folder, once', () => {
    const environment = { XDG_CONFIG_HOME: path('config') };
    const made = createDefaultKey(imageId, environment);
    expect(made).toBe(defaultKeyPath(imageId, environment));
    expect(readKeyFile(made).key.length).toBe(32);
    expect(statSync(path('config/ckptfs/keys')).mode & 0o777).toBe(0o700);
    expect(fails(() => createDefaultKey(imageId, environment)).code).toBe('exists');
  });
});
