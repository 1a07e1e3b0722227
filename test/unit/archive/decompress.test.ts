import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import * as zlib from 'node:zlib';
import { afterEach, expect, test, vi } from 'vitest';
import { decompressed } from '../../../src/archive/decompress.ts';
import { CkptfsError } from '../../../src/base/errors.ts';
import { streamOf } from '../../support/archives.ts';

const text = Buffer.from('contents of an archive '.repeat(9000));
const zstd = (bytes: Buffer): Buffer => spawnSync('zstd', ['-q', '-c'], { input: bytes }).stdout;
const forms = { 'as it is': text, gzip: zlib.gzipSync(text), zstd: zstd(text) };

afterEach(() => vi.unstubAllEnvs());

async function all(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of decompressed(source, 'it')) pieces.push(Buffer.from(piece));
  return Buffer.concat(pieces);
}

test.each(Object.entries(forms))('%s', async (_, bytes) => {
  for (const pieceSize of [1, 1000, bytes.length]) {
    if (pieceSize > 1 || bytes.length < 9000) expect((await all(streamOf(bytes, pieceSize))).equals(text)).toBe(true);
  }
});

test('frames of zstd that are skipped, in front, between and at the end, as pzstd and seekable archives have them', async () => {
  const skipped = Buffer.concat([Buffer.from('502a4d1804000000', 'hex'), Buffer.alloc(4, 'skip')]);
  const large = Buffer.concat([Buffer.from('5f2a4d1800000200', 'hex'), Buffer.alloc(0x20000, 'x')]);
  const bytes = Buffer.concat([skipped, large, forms.zstd, skipped, skipped, forms.zstd, large]);
  for (const pieceSize of [bytes.length, 1000, 7]) {
    expect((await all(streamOf(bytes, pieceSize))).equals(Buffer.concat([text, text]))).toBe(true);
  }
});

test.each(['gzip', 'zstd'] as const)('several pieces of %s, one after the other', async (form) => {
  const bytes = Buffer.concat([forms[form], forms[form], forms[form]]);
  for (const pieceSize of [bytes.length, forms[form].length, 7, 1]) {
    const read = await all(streamOf(bytes, pieceSize));
    expect(read.equals(Buffer.concat([text, text, text]))).toBe(true);
  }
});

test.each([
  ['a truncated gzip', forms.gzip.subarray(0, -3)],
  ['a truncated zstd', forms.zstd.subarray(0, -3)],
  ['a damaged gzip', Buffer.concat([forms.gzip.subarray(0, 30), Buffer.alloc(200, 0xff)])],
  ['a damaged zstd', Buffer.concat([forms.zstd.subarray(0, 12), Buffer.alloc(200, 0xff)])],
  ['garbage after gzip', Buffer.concat([forms.gzip, Buffer.from('garbage')])],
  ['garbage after gzip and zeros', Buffer.concat([forms.gzip, Buffer.alloc(100), Buffer.from('garbage')])],
  ['a skipped frame of lz4', Buffer.from('502a4d180100000000' + '04224d1864407000', 'hex')],
  ['half a skipped frame', Buffer.concat([forms.zstd, Buffer.from('502a4d18ffff00000000', 'hex')])],
  ['garbage after zstd', Buffer.concat([forms.zstd, Buffer.from('garbage')])],
  ['half a frame after zstd', Buffer.concat([forms.zstd, forms.zstd.subarray(0, 20)])],
])('%s is refused', async (_, bytes) => {
  await expect(all(streamOf(bytes))).rejects.toMatchObject({
    code: 'unsupported-source',
    message: expect.stringMatching(/^it cannot be decompressed: /) as string,
  });
});

test.each([
  ['xz', 'fd377a585a000004'],
  ['bzip2', '425a68393141592653590000'],
  ['lz4', '04224d18644070'],
])('%s is refused by its name', async (name, hex) => {
  const message = `it is compressed by ${name}, not by gzip or zstd`;
  await expect(all(streamOf(Buffer.from(hex, 'hex')))).rejects.toMatchObject({ message });
});

test('an archive whose first name begins as bzip2 does is none', async () => {
  expect(await all(streamOf(Buffer.from('BZh9 is a name')))).toEqual(Buffer.from('BZh9 is a name'));
});

test.each(Object.entries(forms))('what the source throws comes out: %s', async (_, bytes) => {
  async function* failing() {
    yield bytes.subarray(0, 100);
    throw new CkptfsError('io', 'the disk fails');
  }
  await expect(all(failing())).rejects.toMatchObject({ code: 'io', message: 'the disk fails' });
});

test.each(Object.entries(forms))('who reads only a part ends the source: %s', async (_, bytes) => {
  const source = Readable.from([Buffer.from(bytes), Buffer.from('never read')], { objectMode: false });
  const pieces = decompressed(source, 'it');
  await pieces.next();
  await pieces.return(undefined);
  await vi.waitFor(() => expect(source.destroyed).toBe(true));
});

test('without the program zstd there is that of Node, if it has one', async () => {
  vi.stubEnv('PATH', '/nonexistent');
  const read = all(streamOf(forms.zstd));
  if ('createZstdDecompress' in zlib) expect((await read).equals(text)).toBe(true);
  else await expect(read).rejects.toMatchObject({ code: 'missing-feature', data: { feature: 'zstd' } });
});

test('a program that hangs is ended by a signal', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'ckptfs-hang-'));
  writeFileSync(join(directory, 'zstd'), '#!/bin/sh\nexec /bin/sleep 300\n');
  chmodSync(join(directory, 'zstd'), 0o755);
  vi.stubEnv('PATH', directory);
  const abort = new AbortController();
  const source = streamOf(Buffer.concat([forms.zstd, Buffer.alloc(1 << 20)]));
  const next = decompressed(source, 'it', abort.signal).next();
  setImmediate(() => abort.abort());
  await expect(next).rejects.toMatchObject({ code: 'interrupted' });
  rmSync(directory, { recursive: true });
});
