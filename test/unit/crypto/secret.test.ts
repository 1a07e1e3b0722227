import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { format, inspect } from 'node:util';
import { Worker } from 'node:worker_threads';
import { describe, expect, test } from 'vitest';
import { Region } from '../../../src/base/linux/native.ts';
import { Secret } from '../../../src/crypto/secret.ts';

const marked = Buffer.from('0f1e2d3c4b5a69788796a5b4c3d2e1f0', 'hex');

/**
 * Returns the VmFlags of the mapping that holds an address (proc(5), smaps): `lo` is locked, `dd` is left out of core
 * dumps.
 */
function mappingFlags(address: number): string[] {
  let inside = false;
  for (const line of readFileSync('/proc/self/smaps', 'latin1').split('\n')) {
    const range = /^([0-9a-f]+)-([0-9a-f]+) /.exec(line);
    if (range) inside = parseInt(range[1] ?? '', 16) <= address && address < parseInt(range[2] ?? '', 16);
    if (inside && line.startsWith('VmFlags:')) return line.slice(8).trim().split(' ');
  }
  throw new Error('no such mapping');
}

describe('Secret', () => {
  test('holds what it was given', () => {
    expect(Buffer.from(Secret.copy(marked).bytes)).toEqual(marked);
    expect(Secret.copy(marked).length).toBe(16);
    expect(Buffer.from(Secret.zeros(3).bytes)).toEqual(Buffer.alloc(3));
  });

  test('takes a source and wipes it', () => {
    const source = Buffer.from(marked);
    expect(Buffer.from(Secret.take(source).bytes)).toEqual(marked);
    expect(source).toEqual(Buffer.alloc(16));
  });

  test('is random where asked', () => {
    const [a, b] = [Secret.random(32), Secret.random(32)];
    expect(Buffer.from(a.bytes)).not.toEqual(Buffer.from(b.bytes));
  });

  test('has pages of its own, which are locked and kept out of core dumps until it is wiped', () => {
    for (const length of [1, 32, 4096, 4097, 65536]) {
      const secret = Secret.random(length);
      const { address } = new Region(secret.bytes);
      expect(address % 4096).toBe(0);
      expect(secret.locked).toBe(true);
      for (const at of [address, address + length - 1]) {
        expect(mappingFlags(at)).toEqual(expect.arrayContaining(['lo', 'dd']));
      }
      secret.wipe();
      expect(mappingFlags(address)).not.toContain('lo');
      expect(mappingFlags(address)).not.toContain('dd');
    }
  });

  test('is zeros after the wipe, and out of reach', () => {
    const secret = Secret.copy(marked);
    const view = secret.bytes;
    secret.wipe();
    secret.wipe();
    expect(Buffer.from(view)).toEqual(Buffer.alloc(16));
    expect(() => secret.bytes).toThrow('wiped');
    expect(() => secret.shared).toThrow('wiped');
  });

  test('says nothing of its bytes in text, JSON, inspection or a clone', () => {
    const secret = Secret.copy(marked);
    const tellers = [
      String(secret),
      `${secret}`,
      JSON.stringify({ secret }),
      inspect(secret),
      inspect({ a: [secret] }, { showHidden: true, depth: null }),
      format('%s %o %O %j', secret, secret, secret, secret),
      JSON.stringify(Object.entries(secret)),
      inspect(structuredClone(secret), { showHidden: true }),
    ];
    for (const text of tellers) {
      expect(text).not.toMatch(/0f1e2d3c|0f 1e 2d|15, *30, *45/);
    }
    expect(String(secret)).toBe('[secret]');
    expect(JSON.stringify({ secret })).toBe('{"secret":"[secret]"}');
    expect(inspect(secret)).toBe('[secret]');
  });

  test.each([0, -1, 65537, Number.NaN])('refuses a length of %d', (length) => {
    expect(() => Secret.zeros(length)).toThrow('secret of');
  });

  test('refuses shared memory that has not the size of a secret', () => {
    expect(() => Secret.fromShared(new SharedArrayBuffer(32))).toThrow('size of a secret');
  });

  test('is shared without a copy: wiping one wipes all', () => {
    const secret = Secret.copy(marked);
    const other = Secret.fromShared(secret.shared);
    expect(other.length).toBe(16);
    expect(Buffer.from(other.bytes)).toEqual(marked);
    expect(new Region(other.bytes).address).toBe(new Region(secret.bytes).address);
    secret.wipe();
    expect(Buffer.from(other.bytes)).toEqual(Buffer.alloc(16));
  });

  test('reaches another thread at the same address', async () => {
    const secret = Secret.copy(marked);
    // A worker without the loader of TypeScript: it adds one to every byte of the memory it was sent.
    const program = `const { parentPort, workerData } = require('node:worker_threads');
      const bytes = new Uint8Array(workerData);
      for (let i = 0; i < bytes.length; i++) bytes[i]++;
      parentPort.postMessage('done');`;
    const worker = new Worker(program, { eval: true, workerData: secret.shared });
    await once(worker, 'message');
    await worker.terminate();
    expect(Buffer.from(secret.bytes)).toEqual(Buffer.from(marked.map((byte) => byte + 1)));
  });
});
