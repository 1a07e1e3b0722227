// Goal: whatever a store answers, a mount is refused by one clear line, or a reader gets its block or an error, soon;
// and the next reader gets the right block from a store that is honest again. Method: a fetcher in this process, and a
// registry on the loopback interface that answers wrongly in one way at a time.

import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { CkptfsError } from '../../../../src/base/errors.ts';
import { settleable } from '../../../../src/base/settleable.ts';
import { Secret } from '../../../../src/crypto/secret.ts';
import { encodeAccessProfile } from '../../../../src/format/access-profile.ts';
import { BlockTable } from '../../../../src/format/block-table.ts';
import { packPart } from '../../../../src/format/packed-part.ts';
import {
  BLOCK_ENTRY_SIZE,
  encodeRemoteIndex,
  objectIdOf,
  type PushedBytes,
  parseRemoteIndex,
  type RemoteIndex,
} from '../../../../src/format/remote-index.ts';
import { readHeader } from '../../../../src/image/read/image.ts';
import { symmetricKeyProvider } from '../../../../src/keys/symmetric-key.ts';
import { ImageWriter } from '../../../../src/library/image-writer.ts';
import type { FetcherReady } from '../../../../src/remote/lazy/fetcher-order.ts';
import { serveImage } from '../../../../src/remote/lazy/serve-image.ts';
import { encodeImageManifest } from '../../../../src/remote/oci/image-manifest.ts';
import { encodeProfileManifest, profileTag } from '../../../../src/remote/oci/profile-manifest.ts';
import { pushImage } from '../../../../src/remote/push.ts';
import { sha256Hex } from '../../../../src/remote/shared/digest.ts';
import { openStore } from '../../../../src/stores/open-store.ts';
import { HttpServer } from '../../../support/http-server.ts';
import { MemoryRemote } from '../../../support/memory-remote.ts';
import { type Answer, ThreadClient } from '../../../system/support/fetcher.ts';

const PART_SIZE = 1_048_576;
const SIZE = 2_100_000;
const base = mkdtempSync(join(tmpdir(), 'ckptfs-hostile-'));
const at = (...names: string[]): string => join(base, ...names);
const remote = new MemoryRemote();
let server: HttpServer;
let index: RemoteIndex;
let table: BlockTable;
/** What the registry has besides the parts. */
let encoded: Buffer;
let profile: Buffer | undefined;
/** Lies about requests for blobs, where it does not return false. */
let lie: (request: IncomingMessage, response: ServerResponse) => unknown;

beforeAll(async () => {
  const provider = symmetricKeyProvider(Secret.copy(Buffer.alloc(32, 7)));
  const writer = await ImageWriter.create({
    destination: at('enc'),
    makeSlots: async (imageKey, imageId) => [await provider.wrap(imageKey, imageId)],
  });
  await writer.writeFile('pages-1.img', Buffer.alloc(SIZE, 'pages'));
  writer.seal();
  const store = openStore(at('enc'));
  const options = { jobs: 1, signal: new AbortController().signal, partSize: PART_SIZE };
  await pushImage(store, readHeader(store), remote, options);
  store.close();
  server = await HttpServer.start();
});
afterAll(async () => {
  await server.close();
  rmSync(base, { recursive: true });
});

beforeEach(() => {
  encoded = remote.index ?? Buffer.alloc(0);
  index = parseRemoteIndex(encoded);
  profile = undefined;
  lie = () => false;
  server.answer = (request, response) => {
    const name = request.url?.split('/').at(-1) ?? '';
    if (request.url?.includes('/blobs/') === true) {
      if (lie(request, response) === false) honest(request, response);
      return;
    }
    const manifest = encodeImageManifest(index, encoded, '1');
    if (name === '1') return response.end(manifest);
    const digest = `sha256:${sha256Hex(manifest)}`;
    if (name !== profileTag(digest) || profile === undefined) return response.writeHead(404).end();
    return response.end(encodeProfileManifest(profile, { mediaType: 'a/b', digest, size: manifest.length }));
  };
});
afterEach(() => rmSync(at('cache'), { recursive: true, force: true }));

/** The bytes that a request for a blob is for, and where they begin. */
function wanted({ url, headers }: IncomingMessage): { bytes: Buffer; whole: Buffer; start: number; end: number } {
  const whole = remote.parts.get(url?.slice(-64) ?? '') ?? Buffer.alloc(0);
  const [, start, last] = /^bytes=(\d+)-(\d+)$/.exec(headers.range ?? '') ?? [];
  const end = last === undefined ? whole.length : Number(last) + 1;
  return { bytes: whole.subarray(Number(start ?? 0), end), whole, start: Number(start ?? 0), end };
}

const honest: RequestListener = (request, response) => {
  const { bytes, whole, start, end } = wanted(request);
  const isRange = request.headers.range !== undefined;
  const range = isRange ? { 'content-range': `bytes ${start}-${end - 1}/${whole.length}` } : {};
  response.writeHead(isRange ? 206 : 200, { 'content-length': bytes.length, ...range }).end(bytes);
};

/** Answers as it should, but for some fields and for the bytes. */
function almost(request: IncomingMessage, response: ServerResponse, fields: Record<string, string>, body?: Buffer) {
  const { bytes, whole, start, end } = wanted(request);
  const sent = body ?? bytes;
  const range = { 'content-range': `bytes ${start}-${end - 1}/${whole.length}` };
  response.writeHead(206, { 'content-length': sent.length, ...range, ...fields }).end(sent);
}

/** Repeats bytes until the client has had enough. */
function endless(response: ServerResponse, piece: Buffer): void {
  const more = (): void => {
    while (!response.destroyed && response.write(piece));
    if (!response.destroyed) response.once('drain', more);
  };
  more();
}

/** Fetches while something is done. */
async function mounted(
  use: (ready: FetcherReady) => Promise<void>,
  prefetch: 'none' | 'profile' = 'none',
): Promise<void> {
  const life = new AbortController();
  const gone = settleable<void>();
  const began = settleable<FetcherReady>();
  const order = {
    url: `oci://${server.host}/web:1`,
    remote: { jobs: 2, timeoutSeconds: 1, plainHttp: true },
    cache: { directory: at('cache'), size: 100_000_000 },
    prefetch: { kind: prefetch },
  };
  const served = serveImage(order, { life, commandIsGone: gone.promise, onReady: began.resolve });
  served.catch(began.reject);
  try {
    const ready = await began.promise;
    const stub = join(ready.image, '..');
    table = new BlockTable(readFileSync(join(stub, 'blocks')), parseRemoteIndex(readFileSync(join(stub, 'index'))));
    await use(ready);
  } finally {
    life.abort();
    await served.catch(() => undefined);
  }
}

async function connected(ready: FetcherReady, kind: 'c' | 'd') {
  const socket = createConnection(ready.socket);
  await once(socket, 'connect');
  socket.write(kind);
  return socket;
}

function expectRight(block: number, answer: Answer): void {
  const { digest } = table.placeOf(block);
  expect('packed' in answer ? sha256Hex(answer.packed).slice(0, 32) : answer.message).toBe(digest);
}

const isClear = (message: string): boolean => /^oci:\/\/127\.0\.0\.1:\d+\/web:1: [\x20-\x7e]{1,200}$/.test(message);

const UNAVAILABLE = 1;
const DAMAGED = 2;
/** In the middle of a part. */
const WANTED = 2;

test.each<[string, typeof lie, number, string]>([
  ['other bytes', (q, r) => almost(q, r, {}, Buffer.alloc(wanted(q).bytes.length, 'x')), DAMAGED, 'other bytes'],
  [
    'a block of another place',
    (q, r) => almost(q, r, {}, wanted(q).whole.subarray(0, wanted(q).bytes.length)),
    DAMAGED,
    'other bytes',
  ],
  ['the whole in place of a range', (q, r) => r.end(wanted(q).whole), UNAVAILABLE, 'more than|another range'],
  ['another range', (q, r) => almost(q, r, { 'content-range': 'bytes 4-9/10' }), UNAVAILABLE, 'another range'],
  ['two ranges', (q, r) => almost(q, r, { 'content-range': 'bytes 0-1/9, bytes 2-3/9' }), UNAVAILABLE, 'another range'],
  ['no range', (q, r) => r.writeHead(206).end(wanted(q).bytes), UNAVAILABLE, 'another range'],
  [
    'ranges in parts',
    (q, r) => r.writeHead(206, { 'content-type': 'multipart/byteranges; boundary=x' }).end(`--x\r\n\r\n${q.url}`),
    UNAVAILABLE,
    'another range',
  ],
  ['fewer bytes', (q, r) => almost(q, r, {}, wanted(q).bytes.subarray(1)), UNAVAILABLE, 'sends \\d+ bytes where'],
  [
    'more bytes',
    (q, r) => almost(q, r, {}, Buffer.alloc(wanted(q).bytes.length + 1)),
    UNAVAILABLE,
    'sends \\d+ bytes where',
  ],
  [
    'compressed bytes',
    (q, r) => almost(q, r, { 'content-encoding': 'gzip' }, gzipSync(wanted(q).bytes)),
    UNAVAILABLE,
    'sends \\d+ bytes where',
  ],
  [
    'bytes that become many',
    (q, r) => {
      const bytes = Buffer.alloc(wanted(q).bytes.length);
      gzipSync(Buffer.alloc(100_000_000)).copy(bytes);
      almost(q, r, { 'content-encoding': 'gzip' }, bytes);
    },
    DAMAGED,
    'other bytes',
  ],
  [
    'bytes without end',
    (q, r) => {
      const { bytes, start, end } = wanted(q);
      r.writeHead(206, { 'content-range': `bytes ${start}-${end - 1}/*` });
      endless(r, Buffer.concat([bytes.subarray(0, 10), Buffer.alloc(bytes.length)]));
    },
    DAMAGED,
    'other bytes',
  ],
  ['giant fields', (_q, r) => r.writeHead(206, { 'x-much': 'y'.repeat(100_000) }).end(), UNAVAILABLE, 'does not speak'],
  [
    'garbage in the place of chunks',
    (_q, r) => r.socket?.write('HTTP/1.1 206 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\x1b[31m\r\n'),
    UNAVAILABLE,
    '.',
  ],
  [
    'another protocol',
    (_q, r) => r.socket?.write('HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n'),
    UNAVAILABLE,
    'no (answer|connection)',
  ],
  [
    'word of answers to come',
    (_q, r) => void setInterval(() => r.socket?.write('HTTP/1.1 100 Continue\r\n\r\n'), 1).unref(),
    UNAVAILABLE,
    'no answer',
  ],
  ['nothing', () => undefined, UNAVAILABLE, 'no answer, within 1 second$'],
  [
    'one byte after another',
    (q, r) => {
      const { start, end } = wanted(q);
      r.writeHead(206, { 'content-range': `bytes ${start}-${end - 1}/*` });
      setInterval(() => r.write('x'), 50).unref();
    },
    UNAVAILABLE,
    'within 1 second$',
  ],
  [
    'a cut answer each time',
    (q, r) => {
      const { bytes, start, end } = wanted(q);
      const fields = { 'content-length': bytes.length, 'content-range': `bytes ${start}-${end - 1}/*` };
      r.writeHead(206, fields).write(bytes.subarray(0, 10), () => r.destroy());
    },
    UNAVAILABLE,
    'cut|no connection',
  ],
  [
    'its word that it is busy for years',
    (_q, r) => r.writeHead(503, { 'retry-after': '99999999999' }).end(),
    UNAVAILABLE,
    'answers 503',
  ],
  [
    'its word that too many ask',
    (_q, r) => r.writeHead(429, { 'retry-after': 'Fri, 31 Dec 9999 23:59:59 GMT' }).end('\x1b[31m'),
    UNAVAILABLE,
    'answers 429',
  ],
  [
    'its word that it is forbidden',
    (_q, r) => r.writeHead(403).end('{"errors":[{"code":"DENIED\x1b[31m"}]}'),
    UNAVAILABLE,
    'answers 403',
  ],
  ['its word that the part is gone', (_q, r) => r.writeHead(404).end(), DAMAGED, 'is missing'],
  [
    'a place on the link',
    (_q, r) => r.writeHead(307, { location: 'http://169.254.169.254/' }).end(),
    UNAVAILABLE,
    'an address of this host',
  ],
  ['a place in a circle', (q, r) => r.writeHead(307, { location: q.url }).end(), UNAVAILABLE, 'more than 3 redirects'],
])('a reader of a store that gives %s gets an error, and then its block', async (_what, told, status, said) => {
  await mounted(async (ready) => {
    const thread = new ThreadClient(await connected(ready, 'd'));
    lie = told;
    const answer = await thread.want(WANTED);
    if ('packed' in answer) throw new Error('it was answered');
    expect(answer.status).toBe(status);
    expect(answer.message).toMatch(new RegExp(said));
    expect(answer.message).toSatisfy(isClear);
    lie = () => false;
    // After a failure that took long, others get the same answer for a moment.
    await expect.poll(async () => 'packed' in (await thread.want(WANTED))).toBe(true);
    expectRight(WANTED, await thread.want(WANTED));
    thread.close();
  });
});

/** Returns the index with another block table, which is stored. */
function withTable(bytes: Buffer, from: RemoteIndex = index): RemoteIndex {
  return { ...from, blocks: stored(bytes) };
}

function stored(bytes: Buffer): PushedBytes {
  const parts = [];
  for (let start = 0; start < bytes.length; start += PART_SIZE) {
    const packed = packPart(bytes.subarray(start, start + PART_SIZE));
    remote.parts.set(sha256Hex(packed), packed);
    parts.push({ digest: sha256Hex(packed), size: packed.length });
  }
  return { size: bytes.length, parts };
}

/** Takes the place of the index, in a manifest that says so. */
function publish(bytes: Buffer): void {
  encoded = bytes;
  // It is a blob as well, for one that is too large for the manifest.
  remote.parts.set(sha256Hex(bytes), bytes);
}

const file = (name: string): PushedBytes => index.files.find((each) => each.name === name) as PushedBytes;
const isPartOf = ({ url }: IncomingMessage, { parts }: PushedBytes): boolean =>
  parts.some(({ digest }) => url?.endsWith(digest) === true);

test.each<[string, () => void, string, string]>([
  ['no index', () => publish(Buffer.from('\x1b[31m{}')), 'damaged', 'the index is not right'],
  ['an index that is deep', () => publish(Buffer.alloc(16_000_000, '[')), 'damaged', 'the index is not right'],
  [
    'an index of too many files',
    () => publish(encodeRemoteIndex({ ...index, files: Array(65_537).fill(index.files[0]) })),
    'damaged',
    'not a list of them',
  ],
  [
    'a table of blocks that are not those of the parts',
    () => publish(encodeRemoteIndex(withTable(Buffer.alloc(index.blocks.size, 1)))),
    'damaged',
    'table of blocks cannot be used',
  ],
  [
    // Of some kilobytes, which become 16 MiB.
    'a table that becomes large',
    () => {
      const count = 1_000_000;
      const partSize = 2 ** 32;
      const size = 262_144 * count;
      const parts = Array.from({ length: Math.ceil(size / partSize) }, (_, part) => ({
        digest: 'ab'.repeat(32),
        size: 8 * Math.ceil(Math.min(partSize, size - part * partSize) / 262_144),
      }));
      const files = index.files.filter((each) => objectIdOf(each) === undefined);
      const object = { name: index.files.at(-1)?.name ?? '', size, parts };
      const zeros = Buffer.alloc(8 * Math.ceil((BLOCK_ENTRY_SIZE * count) / 262_144));
      remote.parts.set(sha256Hex(zeros), zeros);
      const blocks = { size: BLOCK_ENTRY_SIZE * count, parts: [{ digest: sha256Hex(zeros), size: zeros.length }] };
      publish(encodeRemoteIndex({ ...index, partSize, files: [...files, object], blocks }));
    },
    'damaged',
    'table of blocks cannot be used',
  ],
  [
    'a header with other bytes',
    () => {
      lie = (q, r) => isPartOf(q, file('ckptfs.json')) && almostWhole(q, r);
    },
    'damaged',
    'other bytes than its name says',
  ],
  [
    'the header of another image',
    () => publish(encodeRemoteIndex({ ...index, imageId: '22'.repeat(16) })),
    'damaged',
    'not the one of the image',
  ],
  [
    'no manifest any more',
    () => {
      lie = (q, r) => isPartOf(q, file('manifest')) && r.writeHead(404).end();
    },
    'damaged',
    'is missing',
  ],
  [
    'a table that drips',
    () => {
      lie = (q, r) => {
        if (!isPartOf(q, index.blocks)) return false;
        r.writeHead(200, { 'content-length': index.blocks.parts[0]?.size ?? 0 });
        return setInterval(() => r.write('x'), 100).unref();
      };
    },
    'store-unavailable',
    'within 1 second$',
  ],
])('an image with %s is not mounted', async (_what, spoil, code, said) => {
  spoil();
  const refused = await mounted(async () => undefined).then(
    () => undefined,
    (error: CkptfsError) => error,
  );
  expect(refused?.code).toBe(code);
  expect(refused?.message).toMatch(new RegExp(said));
  expect(refused?.message).toSatisfy(isClear);
});

/** Answers with other bytes than there are, as many of them. */
function almostWhole(request: IncomingMessage, response: ServerResponse): ServerResponse {
  return response.writeHead(200).end(Buffer.alloc(wanted(request).bytes.length, 'x'));
}

test.each<[string, () => Buffer, string]>([
  ['garbage', () => Buffer.from('\x1b[31m'), 'it is not JSON'],
  ['blocks that there are not', () => profileOf([[0, 1_000_000]]), 'does not have'],
  ['a block twice', () => profileOf([[0, 2], [1, 1]]), 'a block twice'], // biome-ignore format: it is one line
])('an access profile with %s is told, and fetches nothing', async (_what, made, said) => {
  profile = made();
  await mounted(async (ready) => {
    const daemon = await connected(ready, 'c');
    const [line] = await once(daemon, 'data');
    const { log } = JSON.parse(String(line));
    expect(log).toMatchObject({ level: 'warning', text: expect.stringContaining(said) });
    expect(log.text).toMatch(/^[\x20-\x7e]+$/);
    daemon.destroy();
    const thread = new ThreadClient(await connected(ready, 'd'));
    expectRight(WANTED, await thread.want(WANTED));
    thread.close();
  }, 'profile');
});

function profileOf(blocks: readonly (readonly [number, number])[]): Buffer {
  return encodeAccessProfile({ imageId: index.imageId, index: sha256Hex(encoded), blocks });
}

test('a reader goes on where another image is put in the place of its own, and with a new token', async () => {
  await mounted(async (ready) => {
    const thread = new ThreadClient(await connected(ready, 'd'));
    publish(encodeRemoteIndex({ ...index, imageId: '22'.repeat(16) }));
    let tokens = 0;
    const registry = server.answer;
    server.answer = (request, response) => {
      if (request.url?.startsWith('/token') === true) response.end(`{"token":"token-${++tokens}"}`);
      else if (request.headers.authorization === `Bearer token-${tokens}`) registry(request, response);
      else response.writeHead(401, { 'www-authenticate': `Bearer realm="${server.url}/token"` }).end();
    };
    expectRight(WANTED, await thread.want(WANTED));
    // What was given expires.
    tokens++;
    expectRight(0, await thread.want(0));
    expect(tokens).toBe(3);
    thread.close();
  });
});
