import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { isAlone } from '../../../../src/remote/lazy/namespace-watch.ts';

let proc: string;

beforeEach(() => {
  proc = mkdtempSync(join(tmpdir(), 'ckptfs-proc-'));
  put('self', 'mnt:[1]', 'node\0/lib/fetcher.js\0');
  put('10', 'mnt:[1]', 'node\0/lib/fetcher.js\0');
  put('1', 'mnt:[0]', 'init\0');
  writeFileSync(join(proc, 'stat'), '');
});
afterEach(() => rmSync(proc, { recursive: true }));

/** Makes a process. @param namespace undefined for one whose namespace may not be read */
function put(pid: string, namespace: string | undefined, commandLine: string): void {
  mkdirSync(join(proc, pid, 'ns'), { recursive: true });
  if (namespace === undefined) writeFileSync(join(proc, pid, 'ns', 'mnt'), '');
  else symlinkSync(namespace, join(proc, pid, 'ns', 'mnt'));
  writeFileSync(join(proc, pid, 'cmdline'), commandLine);
}

test('fetchers alone are not in company', () => {
  expect(isAlone(proc)).toBe(true);
  put('11', 'mnt:[1]', 'node\0--trace\0/opt/ckptfs/dist/bundle/fetcher.js\0');
  expect(isAlone(proc)).toBe(true);
  put('12', 'mnt:[1]', 'cat\0fetcher.js.txt\0');
  expect(isAlone(proc)).toBe(false);
});

test('a process whose namespace may not be read may be in it, and one that has ended is in none', () => {
  mkdirSync(join(proc, '13'));
  expect(isAlone(proc)).toBe(true);
  put('14', undefined, 'hidden\0');
  expect(isAlone(proc)).toBe(false);
});
