import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { isUringEnabled, withUring } from '../../uring.ts';

let directory: string;
let parameter: string;
beforeEach(() => {
  directory = fs.mkdtempSync(join(tmpdir(), 'ckptfs-bench-test-'));
  parameter = join(directory, 'enable_uring');
});
afterEach(() => fs.rmSync(directory, { recursive: true }));

test('io_uring is on while a run needs it, and put back when the run ends or fails', async () => {
  fs.writeFileSync(parameter, 'N\n');
  expect(await withUring(async () => isUringEnabled(parameter), parameter)).toBe(true);
  expect(isUringEnabled(parameter)).toBe(false);
  await expect(withUring(() => Promise.reject(new Error('broke')), parameter)).rejects.toThrow('broke');
  expect(isUringEnabled(parameter)).toBe(false);
});

test('what the administrator switched on stays on', async () => {
  fs.writeFileSync(parameter, 'Y\n');
  await withUring(async () => undefined, parameter);
  expect(isUringEnabled(parameter)).toBe(true);
});

test('a kernel without it is named', async () => {
  await expect(withUring(async () => undefined, parameter)).rejects.toThrow('this kernel has no');
});
