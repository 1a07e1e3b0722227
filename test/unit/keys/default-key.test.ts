import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test, vi } from 'vitest';
import { createDefaultKey, destroyDefaultKey } from '../../../src/keys/default-key.ts';

vi.mock('node:fs', { spy: true });

const directory = fs.mkdtempSync(join(tmpdir(), 'ckptfs-default-key-'));
afterAll(() => fs.rmSync(directory, { recursive: true }));

/** Makes a key, and returns what was made durable meanwhile: paths below `directory`. */
function madeDurable(imageId: number): readonly string[] {
  const synced: string[] = [];
  vi.mocked(fs.fsyncSync).mockImplementation((fd) => void synced.push(fs.readlinkSync(`/proc/self/fd/${fd}`)));
  createDefaultKey(Buffer.alloc(16, imageId), { XDG_CONFIG_HOME: join(directory, 'home/.config') });
  return synced.map((path) => path.slice(directory.length));
}

const key = (digit: number): string => `/home/.config/ckptfs/keys/${`0${digit}`.repeat(16)}.key`;

test('every directory that was made for a key is as durable as the key', () => {
  fs.mkdirSync(join(directory, 'home'));
  const directories = ['/home/.config/ckptfs', '/home/.config', '/home'];
  expect(madeDurable(1)).toEqual([...directories, key(1), '/home/.config/ckptfs/keys']);
  expect(madeDurable(2)).toEqual([key(2), '/home/.config/ckptfs/keys']);
});

test.each<[what: string, make: (path: string) => void]>([
  ['a FIFO', (path) => void execFileSync('mkfifo', [path])],
  ['a link', (path) => fs.symlinkSync(`${path}.other`, path)],
  ['a file with a second name', (path) => fs.linkSync(`${path}.other`, path)],
  ['a large file', (path) => fs.writeFileSync(path, Buffer.alloc(4097))],
])('%s in the place of a key is not written to', (_what, make) => {
  const environment = { XDG_CONFIG_HOME: fs.mkdtempSync(join(directory, 'hostile-')) };
  const path = createDefaultKey(Buffer.alloc(16, 1), environment);
  fs.renameSync(path, `${path}.other`);
  const before = fs.readFileSync(`${path}.other`, 'utf8');
  make(path);
  expect(() => destroyDefaultKey(Buffer.alloc(16, 1), environment)).toThrow('it is not a key file with one name');
  expect(fs.readFileSync(`${path}.other`, 'utf8')).toBe(before);
});

test('a user whose home is no directory has no key', () => {
  expect(destroyDefaultKey(Buffer.alloc(16, 1), { XDG_CONFIG_HOME: '/dev/null' })).toBeUndefined();
});
