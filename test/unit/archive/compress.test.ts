import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as zlib from 'node:zlib';
import { afterEach, expect, test, vi } from 'vitest';
import { type Compression, compressed } from '../../../src/archive/compress.ts';
import { decompressed } from '../../../src/archive/decompress.ts';
import { CkptfsError } from '../../../src/base/errors.ts';
import { streamOf } from '../../support/archives.ts';

const text = Buffer.from('contents of an archive '.repeat(90_000));
const compressions: readonly Compression[] = ['none', 'gzip', 'zstd'];

afterEach(() => vi.unstubAllEnvs());

async function pressed(compression: Compression): Promise<Buffer> {
  const pieces: Buffer[] = [];
  const keep = async (bytes: Uint8Array): Promise<void> => void pieces.push(Buffer.from(bytes));
  await compressed(compression, keep, async (write) => {
    // The memory is used again, as by those who write archives.
    const memory = Buffer.alloc(100_000);
    for (let at = 0; at < text.length; at += memory.length) {
      await write(memory.subarray(0, text.copy(memory, 0, at)));
      memory.fill(0xff);
    }
  });
  return Buffer.concat(pieces);
}

test.each(compressions)('%s gives the same bytes each time, which are what was written', async (compression) => {
  const bytes = await pressed(compression);
  expect((await pressed(compression)).equals(bytes)).toBe(true);
  const pieces: Buffer[] = [];
  for await (const piece of decompressed(streamOf(bytes, 1 << 20), 'it')) pieces.push(Buffer.from(piece));
  expect(Buffer.concat(pieces).equals(text)).toBe(true);
});

test.each(compressions)('a failure of who writes comes out: %s', async (compression) => {
  const failing = compressed(
    compression,
    async () => undefined,
    async (write) => {
      await write(text);
      throw new CkptfsError('damaged', 'a chunk is damaged');
    },
  );
  await expect(failing).rejects.toMatchObject({ code: 'damaged' });
});

test.each(compressions)('a failure of what takes the bytes comes out: %s', async (compression) => {
  const full = async (): Promise<void> => {
    throw new CkptfsError('io', 'the disk is full');
  };
  const failing = compressed(compression, full, async (write) => {
    for (let count = 0; count < 100; count++) await write(Buffer.from(text));
  });
  await expect(failing).rejects.toMatchObject({ code: 'io', message: 'the disk is full' });
});

test.each(['gzip', 'zstd'] as const)('a signal ends it while it writes: %s', async (compression) => {
  const abort = new AbortController();
  const endless = compressed(
    compression,
    async () => abort.abort(),
    async (write) => {
      for (;;) await write(Buffer.from(text));
    },
    abort.signal,
  );
  await expect(endless).rejects.toMatchObject({ code: 'interrupted' });
});

test.skipIf('createZstdCompress' in zlib).each([
  ['that takes nothing', 'exec /bin/sleep 300', false],
  ['that hears no other signal', 'trap "" TERM INT HUP; exec /bin/sleep 300', false],
  ['that does not end', '/bin/cat >/dev/null; exec /bin/sleep 300', true],
])('a signal ends a program %s', async (_, script, isAtEnd) => {
  const directory = mkdtempSync(join(tmpdir(), 'ckptfs-hang-'));
  const pid = join(directory, 'pid');
  writeFileSync(join(directory, 'zstd'), `#!/bin/sh\n${script.replace('exec', () => `echo $$ > ${pid}; exec`)}\n`);
  chmodSync(join(directory, 'zstd'), 0o755);
  vi.stubEnv('PATH', directory);
  const abort = new AbortController();
  const hanging = compressed(
    'zstd',
    async () => undefined,
    async (write) => {
      do await write(Buffer.from(text));
      while (!isAtEnd);
    },
    abort.signal,
  );
  const settled = expect(hanging).rejects.toMatchObject({ code: 'interrupted' });
  const started = await vi.waitFor(() => {
    const text = readFileSync(pid, 'utf8');
    expect(text).toMatch(/\n$/);
    return Number(text);
  });
  abort.abort();
  await settled;
  await vi.waitFor(() => expect(() => process.kill(started, 0)).toThrow('ESRCH'));
  rmSync(directory, { recursive: true });
});
