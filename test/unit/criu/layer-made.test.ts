// Goal: what the fixtures do not have is read too, and what lies about itself is refused without a wrong byte.
import { mkdirSync, readFileSync, renameSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { CkptfsError } from '../../../src/base/errors.ts';
import { Region } from '../../../src/base/linux/native.ts';
import { type CriuLayer, hasClearPages } from '../../../src/criu/layer.ts';
import {
  blob,
  encryptPages,
  entry,
  field,
  ghostRecord,
  MAGICS,
  paddedRecord,
  u32,
} from '../../support/criu-encryption.ts';
import { criuLayer, criuLayers } from '../../support/criu-fixtures.ts';
import {
  IV,
  indexOf,
  MadeLayers,
  openLayer,
  PAGES_KEY,
  pagemapHead,
  pagemapRun,
  plainImage,
  readFrom,
  sealedImage,
  sealedPages,
  TOKEN,
} from '../../support/made-criu-layer.ts';

const made = new MadeLayers();

afterEach(() => made.end());

function layerOf(files: Readonly<Record<string, Uint8Array>>, digest?: Uint8Array): CriuLayer {
  return made.open(made.make(files, digest));
}

function problemOf(layer: CriuLayer, name: string): string | undefined {
  return layer.files[indexOf(layer, name)]?.problem;
}

/** Reads a file that cannot be read, and returns why. Checks that nothing of it was given. */
function refusal(layer: CriuLayer, name: string): string {
  const out = new Region(10_000);
  out.bytes.fill(0xee);
  try {
    layer.read(indexOf(layer, name), 0, 10_000, out, 0);
  } catch (error) {
    if (!(error instanceof CkptfsError)) throw error;
    expect(error.code).toBe('damaged');
    expect(error.path?.endsWith(`/${name}`)).toBe(true);
    expect(out.bytes.every((byte) => byte === 0xee || byte === 0)).toBe(true);
    return error.message;
  }
  throw new Error(`${name} was read`);
}

const message = field(1, 5);
const filler = (length: number): Buffer => Buffer.from(Uint8Array.from({ length }, (_, at) => (at * 7) % 251));

describe('images that the fixtures do not have', () => {
  test('a BPF map that is not full: the sizes are in files.img', () => {
    const map = [field(1, 2), field(6, 4), field(7, 8), field(8, 77), field(9, 10)];
    const files = sealedImage(Buffer.concat([field(1, 1), field(21, Buffer.concat(map))]));
    const description = Buffer.concat([field(1, 77), field(2, 12), field(3, 24), field(4, 3)]);
    const [keys, values] = [filler(40), filler(80)];
    const sealed = Buffer.concat([MAGICS, entry(TOKEN, description), blob(TOKEN, Buffer.concat([keys, values]))]);
    const layer = layerOf({ 'bpfmap-data.img': sealed, 'files.img': files });
    const plain = Buffer.concat([plainImage(description), keys.subarray(0, 12), values.subarray(0, 24)]);
    expect(readFrom(layer, 'bpfmap-data.img')).toEqual(plain);
    const unknown = layerOf({ 'bpfmap-data.img': sealed, 'files.img': sealedImage(message) });
    expect(refusal(unknown, 'bpfmap-data.img')).toContain('the tag of data of entry 1 does not match');
  });

  test('a BPF map that has more than fits into it', () => {
    const map = [field(6, 4), field(7, 8), field(8, 77), field(9, 10)];
    const files = sealedImage(field(21, Buffer.concat(map)));
    const description = Buffer.concat([field(1, 77), field(2, 44), field(3, 24), field(4, 3)]);
    const sealed = Buffer.concat([MAGICS, entry(TOKEN, description), blob(TOKEN, filler(120))]);
    const layer = layerOf({ 'bpfmap-data.img': sealed, 'files.img': files });
    expect(refusal(layer, 'bpfmap-data.img')).toContain('more than fits');
  });

  test('records of 4136 bytes of which any may be short', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 4096 }), { maxLength: 12 }),
        fc.nat(),
        fc.nat(9000),
        (lengths, at, size) => {
          const parts = lengths.map(filler);
          const layer = layerOf({
            'tmpfs-7.tar.gz.img': Buffer.concat(parts.map((part) => paddedRecord(TOKEN, part))),
          });
          const plain = Buffer.concat(parts);
          const offset = at % (plain.length + 1);
          const read = readFrom(layer, 'tmpfs-7.tar.gz.img', offset, size);
          expect(read.equals(plain.subarray(offset, offset + size))).toBe(true);
          made.end();
        },
      ),
      { numRuns: 20 },
    );
  });

  test('images of nothing, and of magics alone', () => {
    const names = [
      'core-1.img',
      'pagemap-1.img',
      'pages-1.img',
      'ghost-file-1.img',
      'iptables-1.img',
      'netns-ct-1.img',
    ];
    const layer = layerOf(Object.fromEntries(names.map((name) => [name, Buffer.alloc(0)])));
    for (const name of names) expect(readFrom(layer, name)).toHaveLength(0);
    const magics = layerOf({ 'core-1.img': MAGICS, 'sk-queues.img': MAGICS, 'pagemap-1.img': MAGICS });
    for (const { name } of magics.files) expect(readFrom(magics, name.toString())).toEqual(MAGICS);
  });

  test('empty payloads have no tags', () => {
    const stream = (received: number, sent: number): Buffer =>
      Buffer.concat([field(1, received), field(2, 9), field(3, sent), field(4, 9)]);
    const streams = [stream(0, 0), stream(5, 0), stream(0, 6)];
    const pipe = Buffer.concat([field(1, 1), field(2, 0)]);
    const queue = Buffer.concat([field(1, Buffer.alloc(1)), field(3, 0)]);
    const layer = layerOf({
      'tcp-stream-1.img': Buffer.concat([MAGICS, entry(TOKEN, stream(0, 0))]),
      'tcp-stream-2.img': Buffer.concat([MAGICS, entry(TOKEN, stream(5, 0)), blob(TOKEN, filler(5))]),
      'tcp-stream-f.img': Buffer.concat([MAGICS, entry(TOKEN, stream(0, 6)), blob(TOKEN, filler(6))]),
      'fifo-data.img': sealedImage(pipe, pipe),
      'ipcns-msg-1.img': sealedImage(queue),
    });
    expect(readFrom(layer, 'tcp-stream-1.img')).toEqual(plainImage(streams[0] ?? pipe));
    expect(readFrom(layer, 'tcp-stream-2.img')).toEqual(Buffer.concat([plainImage(streams[1] ?? pipe), filler(5)]));
    expect(readFrom(layer, 'tcp-stream-f.img')).toEqual(Buffer.concat([plainImage(streams[2] ?? pipe), filler(6)]));
    expect(readFrom(layer, 'fifo-data.img')).toEqual(plainImage(pipe, pipe));
    expect(readFrom(layer, 'ipcns-msg-1.img')).toEqual(plainImage(queue));
  });

  test('semaphores and messages are padded to 8 bytes', () => {
    const [semaphores, queue, sent] = [field(2, 5), field(3, 1), Buffer.concat([field(1, 1), field(2, 13)])];
    const layer = layerOf({
      'ipcns-sem-1.img': Buffer.concat([MAGICS, entry(TOKEN, semaphores), blob(TOKEN, filler(16))]),
      'ipcns-msg-1.img': Buffer.concat([MAGICS, entry(TOKEN, queue), entry(TOKEN, sent), blob(TOKEN, filler(16))]),
    });
    expect(readFrom(layer, 'ipcns-sem-1.img')).toEqual(Buffer.concat([plainImage(semaphores), filler(16)]));
    expect(readFrom(layer, 'ipcns-msg-1.img')).toEqual(Buffer.concat([plainImage(queue, sent), filler(16)]));
  });

  test('a name that CRIU does not use: entries, entries in clear, or anything', () => {
    const damaged = sealedImage(message).map((byte, at) => (at === 12 ? byte ^ 1 : byte));
    const layer = layerOf({
      'amdgpu-1.img': sealedImage(message),
      'amdgpu-2.img': plainImage(message),
      'amdgpu-3.img': filler(100),
      'amdgpu-4.img': damaged,
      'dump.log': filler(50),
    });
    expect(readFrom(layer, 'amdgpu-1.img')).toEqual(plainImage(message));
    for (const name of ['amdgpu-2.img', 'amdgpu-3.img', 'dump.log'])
      expect(readFrom(layer, name)).toEqual(readFileSync(path.join(made.last, name)));
    expect(refusal(layer, 'amdgpu-4.img')).toContain('the tag of entry 1 does not match');
  });

  test('directories, links and names that are no UTF-8', () => {
    const directory = made.make({ 'core-1.img': sealedImage(message), 'below/core-2.img': filler(9) });
    symlinkSync('../1', path.join(directory, 'parent'));
    symlinkSync('core-1.img', path.join(directory, 'core-3.img'));
    mkdirSync(path.join(directory, 'pages-1.img'));
    writeFileSync(Buffer.concat([Buffer.from(`${directory}/`), Buffer.of(0xff, 0x41)]), 'log');
    const layer = made.open(directory);
    expect(layer.files.map(({ name }) => name.toString('latin1'))).toEqual(['core-1.img', '\xffA']);
    const out = new Region(3);
    expect(layer.read(1, 0, 3, out, 0)).toBe(3);
    expect(out.bytes.toString()).toBe('log');
  });
});

describe('pages of memory', () => {
  const [pages, digest] = [filler(3 * 4096), Buffer.alloc(32, 1)];
  const pagemap = [pagemapHead(1), pagemapRun(0x1000n, 3)];

  test('are decrypted when their pagemap is sealed, or nothing tells of them', () => {
    const layer = layerOf({ 'pagemap-9.img': sealedImage(...pagemap), 'pages-1.img': sealedPages(pages) });
    expect(readFrom(layer, 'pages-1.img').equals(pages)).toBe(true);
    expect(readFrom(layerOf({ 'pages-1.img': sealedPages(pages) }), 'pages-1.img').equals(pages)).toBe(true);
  });

  test('are served as they are when their pagemap is in clear', () => {
    const layer = layerOf({ 'pagemap-9.img': plainImage(...pagemap), 'pages-1.img': pages });
    expect(readFrom(layer, 'pages-1.img').equals(pages)).toBe(true);
    expect(hasClearPages(layer)).toBe(true);
  });

  test('of a damaged pagemap: only where the digest tells that pages are encrypted', () => {
    const damaged = plainImage(...pagemap).map((byte, at) => (at === 8 ? byte ^ 1 : byte));
    const files = { 'pagemap-9.img': damaged, 'pages-1.img': sealedPages(pages) };
    expect(refusal(layerOf(files), 'pages-1.img')).toContain('whether it is encrypted is not known');
    expect(readFrom(layerOf(files, digest), 'pages-1.img').equals(pages)).toBe(true);
  });

  test('that a sealed pagemap and one in clear both name', () => {
    const layer = layerOf({
      'pagemap-8.img': sealedImage(...pagemap),
      'pagemap-9.img': plainImage(...pagemap),
      'pages-1.img': sealedPages(pages),
    });
    expect(refusal(layer, 'pages-1.img')).toContain('both name it');
  });

  test('of which the last is cut', () => {
    const cut = sealedPages(pages).subarray(0, 3 * 4096 - 16);
    const layer = layerOf({ 'pagemap-9.img': sealedImage(...pagemap), 'pages-1.img': cut });
    expect(refusal(layer, 'pages-1.img')).toContain('it ends within a page');
  });

  test('more than are read at once', () => {
    const large = Buffer.concat(Array.from({ length: 700 }, (_, page) => Buffer.alloc(4096, page)));
    const layer = layerOf({ 'pages-1.img': encryptPages(PAGES_KEY, IV, large) });
    for (const [offset, length] of [
      [0, large.length],
      [4095, (1 << 20) + 2],
      [1, (1 << 20) + 4096],
    ] as const) {
      const read = readFrom(layer, 'pages-1.img', offset, length);
      expect(read.equals(large.subarray(offset, offset + length))).toBe(true);
    }
  });
});

describe('sizes that lie', () => {
  const huge = [2n ** 31n, 2n ** 32n - 1n, 2n ** 53n + 1n, 2n ** 64n - 1n];
  const sealedWith = (name: string, fields: Buffer): [string, Buffer] => [
    name,
    Buffer.concat([MAGICS, entry(TOKEN, fields), blob(TOKEN, filler(8))]),
  ];

  test.each(huge)('%s bytes of a payload', (size) => {
    const layer = layerOf(
      Object.fromEntries([
        sealedWith('pipes-data.img', Buffer.concat([field(1, 1), field(2, size)])),
        sealedWith('sk-queues.img', Buffer.concat([field(1, 1), field(2, size)])),
        sealedWith('tcp-stream-1.img', Buffer.concat([field(1, size), field(3, 1)])),
        sealedWith('ipcns-sem-1.img', Buffer.concat([field(1, Buffer.alloc(2)), field(2, size)])),
        sealedWith('ipcns-msg-1.img', Buffer.concat([field(1, Buffer.alloc(2)), field(3, size)])),
        sealedWith('bpfmap-data.img', Buffer.concat([field(1, 1), field(2, size), field(3, size)])),
      ]),
    );
    for (const { name } of layer.files)
      expect(refusal(layer, name.toString())).toMatch(/it ends within|out of range|does not match/);
  });

  test('a payload whose size is missing, or is no number', () => {
    const layer = layerOf(
      Object.fromEntries([
        sealedWith('pipes-data.img', field(1, 1)),
        sealedWith('sk-queues.img', field(2, Buffer.alloc(3))),
        sealedWith('fifo-data.img', Buffer.alloc(0)),
        sealedWith('tcp-stream-1.img', Buffer.of(0x0b, 0x0b, 0x0b, 0x0b)),
      ]),
    );
    for (const { name } of layer.files)
      expect(refusal(layer, name.toString())).toMatch(/is missing|groups are not used/);
  });

  test.each([60_000, -1, 0, 4097, 2n ** 63n - 1n, -(2n ** 63n)])('a record that claims %s bytes', (claimed) => {
    const ghost = Buffer.concat([MAGICS, entry(TOKEN, message), ghostRecord(TOKEN, filler(4096), claimed)]);
    const layer = layerOf({ 'ghost-file-1.img': ghost, 'iptables-1.img': paddedRecord(TOKEN, filler(90), claimed) });
    for (const name of ['ghost-file-1.img', 'iptables-1.img'])
      expect(refusal(layer, name)).toContain('a record claims');
  });

  test('a record that claims another length than it has', () => {
    const short = ghostRecord(TOKEN, filler(4096), 100);
    const last = ghostRecord(TOKEN, filler(50), 4096);
    const layer = layerOf({
      'ghost-file-1.img': Buffer.concat([MAGICS, entry(TOKEN, message), short]),
      'ghost-file-2.img': Buffer.concat([MAGICS, entry(TOKEN, message), last]),
      'iptables-1.img': paddedRecord(TOKEN, filler(90), 91),
    });
    for (const name of ['ghost-file-1.img', 'ghost-file-2.img']) expect(refusal(layer, name)).toContain('has not');
    expect(refusal(layer, 'iptables-1.img')).toContain('does not match');
  });

  test('a ghost file that is cut, or whose entry or chunk is too long', () => {
    const head = Buffer.concat([MAGICS, entry(TOKEN, message)]);
    const chunked = Buffer.concat([MAGICS, entry(TOKEN, Buffer.concat([message, field(9, 1)]))]);
    const layer = layerOf({
      'ghost-file-1.img': Buffer.concat([head, ghostRecord(TOKEN, filler(40)).subarray(0, 36)]),
      'ghost-file-2.img': head.subarray(0, head.length - 1),
      'ghost-file-3.img': Buffer.concat([MAGICS, u32(0x7fffffff), filler(100)]),
      'ghost-file-4.img': Buffer.concat([
        chunked,
        entry(TOKEN, Buffer.concat([field(1, 9000), field(2, 0)])),
        filler(80),
      ]),
      'ghost-file-5.img': Buffer.concat([chunked, entry(TOKEN, field(1, 2n ** 64n - 1n)), filler(80)]),
      'ghost-file-6.img': MAGICS.subarray(0, 6),
    });
    for (const { name, problem } of layer.files) {
      expect(problem).toMatch(/ends within|ends early|an entry of|out of range/);
      refusal(layer, name.toString());
    }
  });

  test('a netlink message of fewer bytes than its header', () => {
    const header = Buffer.concat([u32(15), Buffer.alloc(12)]);
    const layer = layerOf({
      'netns-ct-1.img': blob(TOKEN, header),
      'netns-exp-1.img': blob(TOKEN, header).subarray(1),
    });
    expect(refusal(layer, 'netns-ct-1.img')).toContain('a netlink message of 15 bytes');
    expect(refusal(layer, 'netns-exp-1.img')).toContain('it ends within');
  });

  test('images that are larger than what is held decrypted', () => {
    const directory = made.make({ 'core-1.img': sealedImage(message) });
    truncateSync(path.join(directory, 'core-1.img'), (1 << 28) + 1);
    expect(() => openLayer(directory)).toThrow(expect.objectContaining({ code: 'unsupported-source' }));
  });
});

describe('damage', () => {
  /** Bytes of an image that nothing authenticates: magics, and what records have beside their data. */
  const isInClear = (name: string, at: number): boolean =>
    at < 8 || (/^(ip6?tables|tmpfs)/.test(name) && ((at % 4136 >= 28 && at % 4136 < 32) || at % 4136 >= 40));

  test('a bit that is changed makes its image unreadable, and no other', () => {
    for (const { encrypted, plain, secrets, name: layerName } of criuLayers.filter(({ name }) =>
      /^(rich|names)/.test(name),
    )) {
      const originals = openLayer(encrypted, secrets);
      const sealed = originals.layer.files.filter(({ protection, size }) => protection === 'sealed' && size > 12);
      originals.close();
      for (const { name } of sealed) {
        const contents = readFileSync(path.join(encrypted, name.toString()));
        for (const part of [0.1, 0.3, 0.5, 0.7, 0.999]) {
          const at = Math.floor(contents.length * part);
          if (isInClear(name.toString(), at)) continue;
          const changed = Buffer.from(contents);
          changed.writeUInt8(changed.readUInt8(at) ^ 4, at);
          const directory = made.make({ [name.toString()]: changed, 'seccomp.img': sealedImage() });
          const layer = made.open(directory, secrets);
          const where = `${layerName}: ${name.toString()} at ${at}`;
          expect(() => readFrom(layer, name.toString()), where).toThrow(CkptfsError);
          expect(readFrom(layer, 'seccomp.img')).toEqual(MAGICS);
        }
        made.end();
      }
      expect(plain).toBeDefined();
    }
  });

  test('an image that is cut ends where an entry ends, or is unreadable', () => {
    const { encrypted, plain, secrets } = criuLayer('rich');
    for (const name of ['inventory.img', 'pipes-data.img', 'sk-queues.img', 'ghost-file-1.img', 'ghost-file-2.img']) {
      const contents = readFileSync(path.join(encrypted, name));
      const twin = readFileSync(path.join(plain, name));
      const step = Math.max(1, Math.floor(contents.length / 60));
      const cuts = Array.from({ length: 70 }, (_, at) => at * step).filter((length) => length < contents.length);
      const directory = made.make(
        Object.fromEntries(cuts.map((length) => [`${length}`, contents.subarray(0, length)])),
      );
      for (const length of cuts) {
        renameSync(path.join(directory, `${length}`), path.join(directory, name));
        const { layer, close } = openLayer(directory, secrets);
        try {
          const read = readFrom(layer, name);
          expect(read.equals(twin.subarray(0, read.length)), `${name} of ${length} bytes`).toBe(true);
        } catch (error) {
          if (!(error instanceof CkptfsError)) throw error;
          expect(error.code).toBe('damaged');
        } finally {
          close();
        }
      }
    }
  });

  test('a file that is replaced, cut or removed after it was opened is read no more', () => {
    const names = ['pages-1.img', 'pages-2.img', 'stats-dump'];
    const directory = made.make(Object.fromEntries(names.map((name) => [name, filler(4096)])));
    const layer = made.open(directory);
    writeFileSync(path.join(directory, 'new'), filler(4096));
    renameSync(path.join(directory, 'new'), path.join(directory, 'pages-1.img'));
    truncateSync(path.join(directory, 'pages-2.img'), 0);
    renameSync(path.join(directory, 'stats-dump'), path.join(directory, 'elsewhere'));
    for (const name of names) expect(refusal(layer, name)).toContain('was changed since');
  });

  test('a file that is cut while it is open', () => {
    const directory = made.make({ 'pages-1.img': filler(4096), 'stats-dump': filler(4096) });
    const layer = made.open(directory);
    for (const name of ['pages-1.img', 'stats-dump']) {
      readFrom(layer, name);
      truncateSync(path.join(directory, name), 100);
      expect(refusal(layer, name)).toContain('it ends early');
    }
  });

  test('a problem is told with the file', () => {
    const layer = layerOf({ 'core-1.img': sealedImage(message).subarray(0, 20), 'core-2.img': filler(40) });
    expect(problemOf(layer, 'core-1.img')).toBe('it ends within entry 1');
    expect(problemOf(layer, 'core-2.img')).toBe('it has no magic of an image');
  });
});
