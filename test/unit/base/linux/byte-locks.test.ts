import { spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { tryLockByte, unlockByte } from '../../../../src/base/linux/byte-locks.ts';

let directory: string;
let opened: number[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'ckptfs-locks-'));
  opened = [];
});
afterEach(() => {
  for (const fd of opened) closeSync(fd);
  rmSync(directory, { recursive: true });
});

/** Another description of the same file. */
function open(): number {
  const fd = openSync(join(directory, 'locks'), 'a+');
  opened.push(fd);
  return fd;
}

test('one description has a byte, and others have other bytes', () => {
  const [one, other] = [open(), open()];
  for (const offset of [0, 7, 2 ** 47 + 1, 2 ** 62]) {
    expect(tryLockByte(one, offset)).toBe(true);
    expect(tryLockByte(one, offset)).toBe(true);
    expect(tryLockByte(other, offset)).toBe(false);
  }
  expect(tryLockByte(other, 6)).toBe(true);
  expect(tryLockByte(other, 8)).toBe(true);
  unlockByte(one, 7);
  expect(tryLockByte(other, 7)).toBe(true);
  expect(tryLockByte(one, 7)).toBe(false);
});

test('a byte is free when its description was closed', () => {
  const [one, other] = [openSync(join(directory, 'locks'), 'a+'), open()];
  expect(tryLockByte(one, 1)).toBe(true);
  expect(tryLockByte(other, 1)).toBe(false);
  closeSync(one);
  expect(tryLockByte(other, 1)).toBe(true);
});

test('a byte stays locked while a child has its description, and is free when that was killed', async () => {
  const [one, other] = [openSync(join(directory, 'locks'), 'a+'), open()];
  expect(tryLockByte(one, 1)).toBe(true);
  const child = spawn('sleep', ['1000'], { stdio: [one, 'ignore', 'ignore'] });
  closeSync(one);
  expect(tryLockByte(other, 1)).toBe(false);
  child.kill('SIGKILL');
  await new Promise((resolve) => child.once('exit', resolve));
  expect(tryLockByte(other, 1)).toBe(true);
});

test('a file that may not be written has no locks', () => {
  open();
  const fd = openSync(join(directory, 'locks'), 'r');
  opened.push(fd);
  expect(() => tryLockByte(fd, 1)).toThrow(expect.objectContaining({ code: 'EBADF' }));
});
