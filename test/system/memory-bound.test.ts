// Goal: a daemon takes no more memory than docs/design.md says, and no more the longer it serves.
// Method: a large image, of many objects and with more tag pages than are kept, is read in every way, again and again;
// the kernel says how much memory the daemon had at most.
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect } from 'vitest';
import { defaultChunkSize, Geometry, PAGE_SIZE } from '../../src/format/geometry.ts';
import { BLOCK_SIZE, BLOCKS } from '../../src/fs/ahead/layout.ts';
import { MAX_OPEN_OBJECTS } from '../../src/image/read/object-reader.ts';
import { endOf } from './support/children.ts';
import { ckptfs } from './support/ckptfs.ts';
import { memoryBound } from './support/memory-bound.ts';
import { clear, type Encrypted, encryptInto, mountOn, start, statusOf } from './support/mounts.ts';
import { describeIf, systemTest } from './support/requirements.ts';

const SIZE = 2 * 2 ** 30;
const DATA = Buffer.alloc(65_536, 'some data');
/** An image keeps data and no holes. A quarter of the file is data. */
const STRIDE = 4 * DATA.length;
const TAG_PAGES = ((SIZE / STRIDE) * DATA.length) / new Geometry(defaultChunkSize(undefined)).groupSize;
/** The most that two rounds may add, which is less than 256 bytes for each of their requests. */
const GROWTH = 8 << 20;
/** In the first ones V8 compiles, and its heap grows to its size. */
const MOST_ROUNDS = 8;

describeIf(['root', 'fuse'], 'the memory of a daemon', () => {
  const base = fs.mkdtempSync(join(tmpdir(), 'ckptfs-memory-'));
  const mountPoint = join(base, 'mnt');
  const large = join(mountPoint, 'pages-1.img');
  let encrypted: Encrypted;
  let manifestSize: number;

  beforeAll(() => {
    const source = join(base, 'source');
    fs.mkdirSync(source);
    const file = fs.openSync(join(source, 'pages-1.img'), 'w');
    for (let offset = 0; offset < SIZE; offset += STRIDE) fs.writeSync(file, DATA, 0, DATA.length, offset);
    fs.ftruncateSync(file, SIZE);
    fs.closeSync(file);
    for (let number = 0; number < MAX_OPEN_OBJECTS + 32; number++) fs.writeFileSync(join(source, `${number}`), DATA);
    encrypted = encryptInto(base, source);
    manifestSize = fs.statSync(join(encrypted.image, 'manifest')).size;
  });
  afterEach(() => clear(mountPoint));
  afterAll(() => fs.rmSync(base, { recursive: true }));

  const reads = async (...words: readonly string[]): Promise<void> => {
    const end = await endOf(start(join(base, 'output'), 'dd', 'of=/dev/null', 'status=none', ...words));
    expect(end, words.join(' ')).toEqual([0, null]);
  };

  /**
   * Reads all of it in sequence, in one piece and in several at once, as the mount answers an open and with O_DIRECT,
   * parts of it out of order, and each object.
   */
  async function readEverything(): Promise<void> {
    const parts = [0, 1, 2, 3, 4, 5].map((part) => part * (SIZE / 6 / 4096));
    await reads(`if=${large}`, 'bs=1M');
    await Promise.all([0, 1, 2, 3].map((part) => reads(`if=${large}`, 'bs=1M', `skip=${part * 512}`, 'count=256')));
    await Promise.all([
      reads(`if=${large}`, 'bs=8M', 'iflag=direct'),
      ...parts.map((skip) => reads(`if=${large}`, 'bs=4k', 'iflag=direct', `skip=${Math.floor(skip)}`, 'count=3000')),
    ]);
    for (const name of fs.readdirSync(mountPoint)) if (name !== 'pages-1.img') fs.readFileSync(join(mountPoint, name));
  }

  for (const [workers, cacheSize, pageFiles] of [
    [2, 1 << 20, 'auto'],
    [2, 1 << 20, 'direct'],
    [4, 2 << 20, 'direct'],
  ] as const) {
    const which = `${workers} threads, a cache of ${cacheSize >> 20} MiB and page files ${pageFiles}`;
    systemTest([], `stays within its bound with ${which}, and does not grow`, async () => {
      expect(TAG_PAGES * PAGE_SIZE).toBeGreaterThanOrEqual(cacheSize);
      const serving = ['--workers', `${workers}`, '--cache-size', `${cacheSize}`, '--page-files', pageFiles];
      const { pid } = mountOn(mountPoint, encrypted, ...serving);
      const peak = (): number => {
        const [, kibibytes] = /^VmHWM:\s+(\d+) kB/m.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
        return Number(kibibytes) * 1024;
      };
      // A leak makes the peak grow with every round; all else has an end.
      const peaks: number[] = [];
      const growth = (): number => (peaks.at(-1) ?? 0) - (peaks.at(-3) ?? Number.NEGATIVE_INFINITY);
      do {
        await readEverything();
        peaks.push(peak());
      } while (growth() > GROWTH && peaks.length < MOST_ROUNDS);
      expect(growth(), `peaks of ${peaks}`).toBeLessThanOrEqual(GROWTH);
      expect(peak()).toBeLessThanOrEqual(memoryBound({ workers, cacheSize, manifestSize }));
      // Over io_uring nothing is decrypted ahead.
      const { transport, counters } = statusOf(mountPoint)?.daemon ?? {};
      if (pageFiles === 'direct' && transport === 'kernel')
        expect(counters?.bytesServedAhead).toBeGreaterThan(BLOCKS * BLOCK_SIZE);
      ckptfs('umount', mountPoint);
    });
  }
});
