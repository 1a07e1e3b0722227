import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test, vi } from 'vitest';
import { createDefaultKey } from '../../../src/keys/default-key.ts';

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
