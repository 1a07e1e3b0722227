import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { WritePeer } from '../../peers/peer.ts';
import { plain } from '../../peers/plain.ts';
import { spaceOf, writeNew } from '../../scenarios/written.ts';

let directory: string;
beforeEach(() => {
  directory = fs.mkdtempSync(join(tmpdir(), 'ckptfs-bench-test-'));
});
afterEach(() => fs.rmSync(directory, { recursive: true }));

/** A directory that notes when it is mounted and unmounted. */
function noting(notes: string[]): WritePeer {
  return {
    ...plain,
    async mountNew(store, mountPoint) {
      notes.push(`mount ${fs.existsSync(store) ? 'old' : 'new'}`);
      const mount = await plain.mountNew(store, mountPoint);
      return { ...mount, unmount: async () => void notes.push('unmount') };
    },
  };
}

function bench() {
  return { directory, newMountPoint: () => join(directory, 'mnt') };
}

test('a store is new, looked at once it is unmounted, and gone at the end', async () => {
  const notes: string[] = [];
  const write = async (path: string) => {
    fs.writeFileSync(join(path, 'file'), Buffer.alloc(100_000, 1));
    notes.push('write');
    return 'what the writer says';
  };
  const look = async (store: string, value: string) => void notes.push(`${value}: ${fs.readdirSync(store)}`);
  for (let time = 0; time < 2; time++) {
    const { value, settling, space } = await writeNew(bench(), noting(notes), write, look);
    expect(value).toBe('what the writer says');
    expect(settling).toBeGreaterThan(0);
    expect(space).toBeGreaterThanOrEqual(100_000);
  }
  const once = ['mount new', 'write', 'unmount', 'what the writer says: file'];
  expect(notes).toEqual([...once, ...once]);
  expect(fs.readdirSync(directory)).toEqual([]);
});

test('a writer that fails leaves nothing mounted and no files', async () => {
  const notes: string[] = [];
  const fail = () => Promise.reject(new Error('no room'));
  await expect(writeNew(bench(), noting(notes), fail)).rejects.toThrow('no room');
  expect(notes).toEqual(['mount new', 'unmount']);
  expect(fs.readdirSync(directory)).toEqual([]);
});

test('space is what the disk gives, holes not counted', async () => {
  fs.writeFileSync(join(directory, 'sparse'), '');
  fs.truncateSync(join(directory, 'sparse'), 2 ** 30);
  expect(await spaceOf(directory)).toBeLessThan(2 ** 20);
});
