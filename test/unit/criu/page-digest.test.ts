// Goal: the page digest tells pages that were changed, and says what it cannot tell.
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import type { CriuLayer } from '../../../src/criu/layer.ts';
import { field, pageMac } from '../../support/criu-encryption.ts';
import { criuLayer, criuLayers } from '../../support/criu-fixtures.ts';
import {
  MadeLayers,
  outcome,
  pagemapHead,
  pagemapRun,
  plainImage,
  sealedImage,
  sealedPages,
  TOKEN,
} from '../../support/made-criu-layer.ts';

const made = new MadeLayers();

afterEach(() => made.end());

const fourPages = Buffer.concat([0, 1, 2, 3].map((page) => Buffer.alloc(4096, page)));
const sealed = sealedPages(fourPages);

/** Returns the digest of pages, by their number in `sealed` and their address. */
function digestOf(...pages: readonly (readonly [page: number, address: bigint])[]): Buffer {
  const digest = Buffer.alloc(32);
  for (const [page, address] of pages)
    for (const [at, byte] of pageMac(TOKEN, sealed.subarray(page * 4096, (page + 1) * 4096), address).entries())
      digest.writeUInt8(digest.readUInt8(at) ^ byte, at);
  return digest;
}

function check(layer: CriuLayer): ReturnType<typeof outcome<{ outcome: string; pages: number; why?: string }>> {
  return outcome(layer.checkPages());
}

function digestOutcome(files: Readonly<Record<string, Uint8Array>>, digest?: Uint8Array): unknown {
  return check(made.open(made.make(files, digest)));
}

test.each(criuLayers.map(({ name }) => name).filter((name) => name !== 'page-server'))('%s matches', (name) => {
  const { encrypted, secrets } = criuLayer(name);
  const found = check(made.open(encrypted, secrets));
  expect(found.outcome).toBe('matches');
  expect(found.pages).toBeGreaterThan(10);
});

test('page-server: it tells nothing of pages that are stored in clear', () => {
  const { encrypted, secrets } = criuLayer('page-server');
  expect(check(made.open(encrypted, secrets))).toMatchObject({
    outcome: 'unknown',
    pages: 0,
    why: 'memory went through a page server and is stored in clear',
  });
});

describe('a made directory', () => {
  const files = {
    'pagemap-1.img': sealedImage(pagemapHead(5), pagemapRun(0x1000n, 2), pagemapRun(0x7fff_ffff_f000n, 1)),
    'pages-5.img': sealed.subarray(0, 3 * 4096),
    'pagemap-shmem-9.img': sealedImage(pagemapHead(6), pagemapRun(0n, 1)),
    'pages-6.img': sealed.subarray(3 * 4096),
  };
  const all = digestOf([0, 0x1000n], [1, 0x2000n], [2, 0x7fff_ffff_f000n], [3, 0n]);

  test('matches by the address of each page', () => {
    expect(digestOutcome(files, all)).toEqual({ outcome: 'matches', pages: 4 });
    const moved = digestOf([0, 0x1000n], [1, 0x2000n], [2, 0x7fff_ffff_e000n], [3, 0n]);
    expect(digestOutcome(files, moved)).toEqual({ outcome: 'differs', pages: 4 });
  });

  test('differs when a bit of a page is changed', () => {
    const changed = Buffer.from(files['pages-5.img']);
    changed.writeUInt8(changed.readUInt8(5000) ^ 1, 5000);
    expect(digestOutcome({ ...files, 'pages-5.img': changed }, all)).toEqual({ outcome: 'differs', pages: 4 });
  });

  test('is not got around by taking it away, and differs where it is of zeros', () => {
    const directory = made.make(files, undefined);
    const cipher = path.join(directory, 'cipher.img');
    const withDigest = readFileSync(cipher);
    const message = withDigest.subarray(12, -34);
    const length = Buffer.alloc(4);
    length.writeUInt32LE(message.length);
    writeFileSync(cipher, Buffer.concat([withDigest.subarray(0, 8), length, message]));
    const layer = made.open(directory);
    const reason = 'it has no page digest, which CRIU always writes';
    expect(() => check(layer)).toThrow(reason);
    expect(outcome(layer.verify()).faults).toEqual([{ name: Buffer.from('cipher.img'), reason }]);
    expect(digestOutcome(files, Buffer.alloc(32))).toEqual({ outcome: 'differs', pages: 4 });
  });

  test('is unknown for System V shared memory alone, which CRIU leaves out', () => {
    const segment = (id: number): Buffer => field(1, Buffer.concat([field(1, 77), field(7, id)]));
    const withSegment = { ...files, 'ipcns-shm-3.img': sealedImage(Buffer.concat([segment(9), field(2, 4096)])) };
    const others = digestOf([0, 0x1000n], [1, 0x2000n], [2, 0x7fff_ffff_f000n]);
    expect(digestOutcome(withSegment, others)).toEqual({
      outcome: 'unknown',
      pages: 4,
      why: 'CRIU leaves pages of System V shared memory out of the page digest (1 of 4 here)',
    });
    expect(digestOutcome(withSegment, all)).toEqual({ outcome: 'matches', pages: 4 });
    const otherSegment = { ...files, 'ipcns-shm-3.img': sealedImage(segment(8)) };
    expect(digestOutcome(otherSegment, others)).toEqual({ outcome: 'differs', pages: 4 });
    expect(digestOutcome(files, others)).toEqual({ outcome: 'differs', pages: 4 });
  });

  test('pages in the parent do not count, with flags and without', () => {
    const run = (address: bigint, fields: Buffer): Buffer => Buffer.concat([field(1, address), field(2, 1), fields]);
    const runs = [
      run(0x1000n, field(4, 1)),
      run(0x2000n, field(3, 1)),
      run(0x3000n, field(3, 0)),
      run(0x4000n, Buffer.alloc(0)),
      run(0x5000n, field(4, 2 + 4)),
      run(0x6000n, field(4, 2)),
      Buffer.concat([field(1, 0x7000), field(2, 0), field(4, 4), field(5, 1)]),
    ];
    const digest = digestOf([0, 0x3000n], [1, 0x4000n], [2, 0x5000n], [3, 0x7000n]);
    const directory = { 'pagemap-1.img': sealedImage(pagemapHead(5), ...runs), 'pages-5.img': sealed };
    expect(digestOutcome(directory, digest)).toEqual({ outcome: 'matches', pages: 4 });
  });

  test('a pagemap of which all pages are in the parent needs no file of pages', () => {
    const more = { ...files, 'pagemap-2.img': sealedImage(pagemapHead(8), pagemapRun(0x1000n, 9, 1)) };
    expect(digestOutcome(more, all)).toEqual({ outcome: 'matches', pages: 4 });
  });

  test('clear pages beside sealed ones are not in it', () => {
    const mixed = { ...files, 'pagemap-shmem-9.img': plainImage(pagemapHead(6), pagemapRun(0n, 1)) };
    const others = digestOf([0, 0x1000n], [1, 0x2000n], [2, 0x7fff_ffff_f000n]);
    expect(digestOutcome(mixed, others)).toMatchObject({ outcome: 'unknown', pages: 3 });
    expect(digestOutcome(mixed, all)).toMatchObject({ outcome: 'differs', pages: 3 });
  });

  test.each<[string, Readonly<Record<string, Uint8Array>>, string]>([
    ['fewer pages', { 'pages-5.img': sealed.subarray(0, 2 * 4096) }, 'it has fewer pages than its pagemap'],
    ['more pages', { 'pages-5.img': sealed }, 'it has more pages than its pagemap'],
    ['part of a page', { 'pages-5.img': sealed.subarray(0, 9000) }, 'it ends within a page'],
    ['a run of many pages', { 'pagemap-1.img': sealedImage(pagemapHead(5), pagemapRun(0n, 2 ** 31)) }, 'fewer pages'],
    ['a run without an address', { 'pagemap-1.img': sealedImage(pagemapHead(5), field(2, 3)) }, 'has no address'],
    ['a damaged pagemap', { 'pagemap-1.img': files['pagemap-1.img'].subarray(0, -1) }, 'it ends within entry 3'],
    [
      'no file of pages',
      { 'pagemap-7.img': sealedImage(pagemapHead(77), pagemapRun(0n, 1)) },
      'names pages-77.img, which is not there',
    ],
    ['two pagemaps of one file', { 'pagemap-7.img': files['pagemap-1.img'] }, 'names pages-5.img, which is not there'],
    ['no pagemap', { 'pages-7.img': sealed }, 'it has pages, and no pagemap names it'],
  ])('%s: the two do not fit', (_, changes, reason) => {
    const layer = made.open(made.make({ ...files, ...changes }, all));
    expect(() => check(layer)).toThrow(
      expect.objectContaining({ code: 'damaged', message: expect.stringContaining(reason) }),
    );
    expect(
      outcome(layer.verify())
        .faults.map((fault) => fault.reason)
        .join(),
    ).toContain(reason);
  });
});
