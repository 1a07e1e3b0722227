// Goal: clients get what they ask for, and what is no request harms no other client. Method: real sockets in a cache
// directory, a store in memory.
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync, utimesSync } from 'node:fs';
import { createConnection, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Directory } from '../../../../src/base/linux/directory.ts';
import { parseAccessProfile } from '../../../../src/format/access-profile.ts';
import { BlockCache } from '../../../../src/remote/lazy/block-cache.ts';
import { CacheDirectory } from '../../../../src/remote/lazy/cache-directory.ts';
import { newCounters } from '../../../../src/remote/lazy/fetch-counters.ts';
import { ImageBlocks } from '../../../../src/remote/lazy/image-blocks.ts';
import { encodeRequest, TOUCHED, WANT } from '../../../../src/remote/lazy/protocol.ts';
import { Clients } from '../../../../src/remote/lazy/serve-client.ts';
import { SocketServer } from '../../../../src/remote/lazy/socket-server.ts';
import { goneAway, PackedBlocks } from '../../../support/packed-blocks.ts';

const COUNT = 100;

let base: string;
let cache: CacheDirectory;
let store: PackedBlocks;
let clients: Clients;
let blocks: ImageBlocks;
let server: SocketServer;
let left: { count: number };
let opened: Socket[];

beforeEach(async () => {
  base = mkdtempSync(join(tmpdir(), 'ckptfs-clients-'));
  cache = CacheDirectory.open(base);
  store = new PackedBlocks(Array.from({ length: COUNT }, (_, block) => (block % 50 === 49 ? 0 : 1)));
  const table = { count: COUNT, placeOf: store.placeOf, pagesOf: (block: number) => store.placeOf(block).pages };
  blocks = new ImageBlocks({
    remote: store,
    index: store.index,
    table,
    imageId: '00'.repeat(16),
    room: 64,
    indexDigest: 'ab'.repeat(32),
    cache: new BlockCache(cache.blocks, { wrote: () => undefined, failed: () => undefined }),
    locks: cache,
    counters: newCounters(),
    signal: new AbortController().signal,
    patienceMilliseconds: 600_000,
  });
  clients = new Clients(blocks);
  const own = { count: 0 };
  [left, opened] = [own, []];
  server = await SocketServer.open(
    cache,
    (client) => clients.serve(client),
    () => own.count++,
  );
});
afterEach(() => {
  for (const socket of opened) socket.destroy();
  server.close();
  cache.close();
  rmSync(base, { recursive: true });
});

/** Sends bytes, and returns the connection. */
function connect(...bytes: readonly (string | Buffer)[]): Socket {
  const socket = createConnection(server.path);
  opened.push(socket);
  // It may be closed before all was sent.
  socket.on('error', () => undefined);
  for (const each of bytes) socket.write(each);
  return socket;
}

/** Reads until so many bytes came, or the other end closed. */
async function read(socket: Socket, length = Number.POSITIVE_INFINITY): Promise<Buffer> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
      chunks.push(chunk);
      if (Buffer.concat(chunks).length >= length) break;
    }
  } catch (error) {
    // What it sent was not read to its end.
    expect(error).toMatchObject({ code: 'ECONNRESET' });
  }
  return Buffer.concat(chunks);
}

const want = (block: number): Buffer => encodeRequest({ operation: WANT, block });
const touched = (block: number): Buffer => encodeRequest({ operation: TOUCHED, block });
const answerWith = (block: number): Buffer => {
  const packed = store.blocks[block] ?? Buffer.alloc(0);
  return Buffer.concat([Buffer.from(Uint32Array.of(0, packed.length).buffer), packed]);
};

test('a thread gets answers in order, however its requests come', async () => {
  const requests = Buffer.concat([Buffer.from('d'), want(7), touched(3), want(49), want(2), want(7)]);
  const expected = Buffer.concat([7, 49, 2, 7].map(answerWith));
  const slow = connect();
  await once(slow, 'connect');
  for (const byte of requests) {
    slow.write(Buffer.of(byte));
    await new Promise(setImmediate);
  }
  expect(await read(slow, expected.length)).toEqual(expected);
  expect(await read(connect(requests), expected.length)).toEqual(expected);
  expect(parseAccessProfile(blocks.profile())).toMatchObject({
    blocks: [
      [7, 1],
      [3, 1],
      [2, 1],
    ],
  });
  expect(blocks.status()).toMatchObject({ blocks: COUNT, touchedBlocks: 3, wantedBlocks: 8, cacheHits: 4 });
});

test('a thread that reads in order finds in the cache what it comes to', async () => {
  const socket = connect('d');
  for (let block = 0; block < COUNT; block++) {
    socket.write(want(block));
    expect(await read(socket, answerWith(block).length)).toEqual(answerWith(block));
  }
  const stored = [...store.given.keys()].filter((block) => store.placeOf(block).pages > 0);
  expect(stored.map((block) => store.given[block])).toEqual(stored.map(() => 1));
  expect(blocks.status().requests).toBeLessThan(20);
});

test('a block that cannot be had is an error of that request', async () => {
  store.before = () => Promise.reject(goneAway());
  const socket = connect('d', want(7));
  const answer = await read(socket, 8 + 'no answer'.length);
  expect([answer.readUInt32LE(0), answer.subarray(8).toString()]).toEqual([1, 'no answer']);
  store.before = async () => undefined;
  socket.write(want(7));
  expect(await read(socket, answerWith(7).length)).toEqual(answerWith(7));
});

test.each([
  ['x', ''],
  ['d', want(COUNT)],
  ['d', encodeRequest({ operation: 7, block: 0 })],
  ['c', 'no question\n'],
  ['c', 'x'.repeat(10_000)],
])('what begins with %s and is no request ends the connection, and no other', async (kind, bytes) => {
  const other = connect('d');
  expect(await read(connect(kind, bytes))).toEqual(Buffer.alloc(0));
  other.write(want(1));
  expect(await read(other, answerWith(1).length)).toEqual(answerWith(1));
});

test('a daemon gets answers, and hears of what went wrong before it connected and since', async () => {
  clients.log('warning', 'before');
  const socket = connect('c', '{"ask":"status"}\n{"ask":"profile"}\n');
  const lines: string[] = [];
  socket.setEncoding('utf8').on('data', (text: string) => lines.push(...text.trim().split('\n')));
  await expect.poll(() => lines.length).toBe(3);
  clients.log('info', 'since');
  await expect.poll(() => lines.length).toBe(4);
  const said = lines.map((line) => JSON.parse(line));
  expect(said[0]).toEqual({ log: { level: 'warning', text: 'before' } });
  expect(said[1]).toEqual({ status: blocks.status() });
  expect(said[2]).toEqual({ profile: blocks.profile().toString() });
  expect(said[3]).toEqual({ log: { level: 'info', text: 'since' } });
});

test('it is known when no client is there', async () => {
  const socket = connect('d');
  await expect.poll(() => server.isIdle).toBe(false);
  socket.destroy();
  await expect.poll(() => server.isIdle).toBe(true);
  expect(left.count).toBe(1);
});

test('sockets of processes that were killed are removed, and those of others stay', async () => {
  const sockets = Directory.open(join(base, 'sockets'));
  for (const name of ['killed', '.killed', '.begun']) sockets.mknod(name, 'socket');
  sockets.close();
  utimesSync(join(base, 'sockets', '.killed'), 1, 1);
  const second = await SocketServer.open(
    cache,
    async () => undefined,
    () => undefined,
  );
  const expected = ['.begun', ...[server.path, second.path].map((path) => path.slice(-16))].sort();
  expect(readdirSync(join(base, 'sockets')).sort()).toEqual(expected);
  second.close();
  expect(readdirSync(join(base, 'sockets'))).not.toContain(second.path.slice(-16));
});

test('blocks are fetched in advance in the order that is wanted, around those that are not to be had', async () => {
  const begun: number[] = [];
  store.before = async (start) => {
    begun.push(start);
    if (start === store.placeOf(10).offset) throw goneAway();
  };
  await blocks.prefetch([20, 21, 10, 11, 5, 49, 30]);
  expect(begun).toEqual([20, 10, 5, 30].map((block) => store.placeOf(block).offset));
  expect([...store.given.keys()].filter((block) => store.given[block] === 1)).toEqual([5, 20, 21, 30]);
});
